"""Where rules meet pharmacokinetics: `assess` is the only decision path of the product."""

from cds.assess.assess import assess
from cds.assess.assessment import Assessment

__all__ = ["Assessment", "assess"]
