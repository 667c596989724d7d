"""The wall: FHIR R4 JSON on one side, the vocabulary of `cds.clinical` on the other."""
