"""What a run does to its target, one function per action: plain code over the adapters, no Prefect.

Tasks give these functions a name, a retry and a record; `railiance.recovery` calls them without Prefect.
"""
