"""What every command refuses before it begins, and the plug-ins that it loads first."""

import math
from collections.abc import Iterable
from typing import Any

from typer import Typer, echo
from typer.core import TyperCommand
from typer.main import get_command


class StrictCommand(TyperCommand):
    """A command whose options have values that say something, and that knows its plug-ins.

    Refused as wrong usage: an empty value (as of a shell's variable that is not set), and a number that is not finite.
    Of an option that is given several times, and is not made to be, the last counts, and that is said. Files of
    ``--plugin`` are loaded before anything is looked up, so that every option may name what they define. Options that
    are made of records (`zcbench.cli.options`) are made at the first use.
    """

    _params: list[Any]

    @property
    def params(self) -> list[Any]:
        """Arguments and options."""
        if whole := getattr(self.callback, "whole", None):
            alone = Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
            alone.command()(whole())
            made = get_command(alone)
            self.callback, self._params = made.callback, made.params
        return self._params

    @params.setter
    def params(self, params: list[Any]) -> None:
        self._params = params

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse ``args``, refuse what is empty or without end, and tell which options were overridden."""
        if args and not ctx.resilient_parsing:
            given, _, order = self.make_parser(ctx).parse_args(args=list(args))
            for parameter in dict.fromkeys(order):
                if any(isinstance(text, str) and not text.strip() for text in _each(given.get(parameter.name))):
                    ctx.fail(f"{_name(parameter)} was given an empty value. Expected one that is not; or leave it out.")
                times = order.count(parameter)
                if times > 1 and parameter.param_type_name == "option" and not parameter.multiple:
                    echo(f"{_name(parameter)} was given {times} times: the last one counts.", err=True)
        rest: list[str] = super().parse_args(ctx, args)
        for name, value in ctx.params.items():
            if isinstance(value, float) and not math.isfinite(value):
                option = next(parameter for parameter in self.get_params(ctx) if parameter.name == name)
                ctx.fail(f"{_name(option)} was given {value}. Expected a finite number.")
        return rest

    def invoke(self, ctx: Any) -> Any:
        """Load the plug-ins, check the device, and run the command."""
        from zcbench.plugins import load_file

        for file in ctx.params.get("plugin") or ():
            load_file(file)
        if ctx.params.get("device"):
            from zcbench.runtime.devices import check_device

            check_device(ctx.params["device"])
        return super().invoke(ctx)


def strict(app: Typer) -> Typer:
    """The same ``app`` with every command of it, and of its groups, a `StrictCommand`."""
    for command in app.registered_commands:
        command.cls = StrictCommand
    for group in app.registered_groups:
        if group.typer_instance is not None:
            strict(group.typer_instance)
    return app


def _name(parameter: Any) -> str:
    """How a user writes the option, or names the argument."""
    long = [option for option in parameter.opts if option.startswith("--")]
    return (long or parameter.opts)[0] if parameter.param_type_name == "option" else str(parameter.name)


def _each(given: object) -> Iterable[object]:
    return given if isinstance(given, list | tuple) else (given,)
