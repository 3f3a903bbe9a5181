"""The classical cases by name."""

from sciml.pipelines.gcm.setups.case import Atmosphere, Fluid, Where
from sciml.pipelines.registry import Registry

_FOLDER = "sciml.pipelines.gcm.setups"
CASES = Registry(
    "initial state",
    {
        "rest": f"{_FOLDER}.resting:rest",
        "baroclinic_wave": f"{_FOLDER}.baroclinic:baroclinic_wave",
        "steady_state": f"{_FOLDER}.baroclinic:steady_state",
        "held_suarez": f"{_FOLDER}.resting:held_suarez",
        "williamson2": f"{_FOLDER}.fluids:williamson2",
        "williamson5": f"{_FOLDER}.fluids:williamson5",
        "galewsky": f"{_FOLDER}.fluids:galewsky",
    },
)


def case(name: str, where: Where, seed: int = 0) -> Atmosphere | Fluid:
    """The case `name` at the points `where`; `seed` matters to held_suarez alone. SettingsError for an unknown name."""
    return CASES.get(name)(where, seed)
