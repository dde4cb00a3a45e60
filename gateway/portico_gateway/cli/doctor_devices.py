"""What `portico doctor` says of several devices: how many a model is spread over, and whether it can be."""

from __future__ import annotations

from collections.abc import Iterator

from portico_gateway.cli.doctor_check import Check
from portico_gateway.config.portico_config import PorticoConfig
from portico_gateway.model.installed import missing_libraries
from portico_gateway.model.machine import gpus
from portico_gateway.model.options import load_options


def device_checks(config: PorticoConfig) -> Iterator[Check]:
    """Nothing where there is one device and one is wanted. Weights are not read."""
    devices, there = config.engine.devices, len(gpus())
    if devices == 1:
        if there > 1:
            yield Check("devices", "ok", f"a model takes one of {there} GPUs; devices under [engine] spreads it over several")
        return
    if missing_libraries():
        return  # which has its line
    from portico_engine import EngineError, find_model, foresee

    way = "expert parallel" if config.engine.expert_parallel else "tensor parallel"
    try:
        outlook = foresee(find_model(config.model.name), **load_options(config.model, config.engine))
    except EngineError as error:
        yield Check("devices", "fail", f"{devices}, {way}: {error}", "correct devices under [engine], or take another model")
        return
    if "devices" in outlook.fallbacks:
        yield Check("devices", "warn", outlook.fallbacks["devices"])
        return
    plan = "" if outlook.memory is None else f"; {outlook.memory}"
    yield Check("devices", "ok", f"{devices}, {way}: {outlook.executor} on {outlook.device}{plan}")
