"""Where Dagster keeps what a step returns: nowhere. Real rows pass through steps, and its own keeper pickles them."""

from typing import NoReturn

import dagster as dg


class NothingKept(dg.IOManager):
    """Keeps nothing and finds nothing: steps hand on names of what lies in the vault, staging or the lake."""

    def handle_output(self, context: dg.OutputContext, obj: object) -> None:
        """Refuse any value; that a step is done needs no keeping."""
        if obj is not None:
            what = f"step {context.step_key} returned a {type(obj).__name__}, and Dagster would pickle it to its disk"
            raise dg.Failure(f"{what}. Keep rows in the vault and return dg.MaterializeResult", allow_retries=False)

    def load_input(self, context: dg.InputContext) -> NoReturn:
        """Refuse: there is nothing to load."""
        what = f"step {context.step_context.step.key} asks for a value that another step returned, and none is kept"
        raise dg.Failure(f"{what}. Open the stage's record instead", allow_retries=False)
