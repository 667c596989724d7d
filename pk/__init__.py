"""Pharmacokinetics of a drug in one patient: population models, Bayesian estimation, dosing.

Start with `load_model`, `Case` and `fit`. Times are hours, amounts mg, concentrations ng/mL.
"""

from pk import errors
from pk.adherence import Adherence, AdherenceOptions, Reading, adherence_of, infer_adherence
from pk.averaging import Average, AverageOptions, AveragePrediction, Member, average
from pk.batch import fit_many
from pk.case import (
    Case,
    ClearanceEffect,
    Dose,
    Level,
    Piecewise,
    Regimen,
    SteadyState,
)
from pk.dosing import DoseOptions, Proposal, Target, best_proposal, propose, tablets_for
from pk.estimation import fit
from pk.health import Criteria, FitHealth, LevelCheck
from pk.individual import DomainCheck
from pk.model import PopulationModel, list_models, load_model
from pk.posterior import FitOptions, Posterior
from pk.predict import Prediction, TroughEstimate, trough_of
from pk.residual import Residual
from pk.sampling_time import SampleTime, next_sample

__all__ = [
    "Adherence",
    "AdherenceOptions",
    "Average",
    "AverageOptions",
    "AveragePrediction",
    "Case",
    "ClearanceEffect",
    "Criteria",
    "DomainCheck",
    "Dose",
    "DoseOptions",
    "FitHealth",
    "FitOptions",
    "Level",
    "LevelCheck",
    "Member",
    "Piecewise",
    "PopulationModel",
    "Posterior",
    "Prediction",
    "Proposal",
    "Reading",
    "Regimen",
    "Residual",
    "SampleTime",
    "SteadyState",
    "Target",
    "TroughEstimate",
    "adherence_of",
    "average",
    "best_proposal",
    "errors",
    "fit",
    "fit_many",
    "infer_adherence",
    "list_models",
    "load_model",
    "next_sample",
    "propose",
    "tablets_for",
    "trough_of",
]
