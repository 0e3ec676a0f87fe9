"""What every command refuses before it begins, the options that several have, and the plug-ins that it loads first."""

import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

from typer import Option, Typer, echo
from typer.core import TyperCommand
from typer.main import get_command

from zcbench.cli.given import defaults, read_config
from zcbench.cli.help.choices import Choices
from zcbench.cli.help.completion import complete
from zcbench.cli.help.examples import EXAMPLES
from zcbench.cli.help.panels import grouped
from zcbench.cli.output import Form, printed_as
from zcbench.cli.verbosity import Verbosity, messages, verbosity_options


class StrictCommand(TyperCommand):
    """A command whose options have values that say something, and that knows its plug-ins.

    Refused as wrong usage: an empty value (as of a shell's variable that is not set), a number that is not finite, and
    a value that is none of the `Choices` of the option.
    Of an option that is given several times, and is not made to be, the last counts, and that is said. Files of
    ``--plugin`` are loaded before anything is looked up, so that every option may name what they define. Options that
    are made of records (`zcbench.cli.options`) are made at the first use. Every command has the options of its
    `Verbosity`; commands that are `tabular` or `configurable` have the options of that too.
    """

    _params: list[Any]
    _further: tuple[Callable[..., None], ...] = ()
    _like: Callable[[str], Mapping[str, object]] | None = None

    @property
    def params(self) -> list[Any]:
        """Arguments and options."""
        if whole := getattr(self.callback, "whole", None):
            made = _made(whole())
            self.callback, self._params = made.callback, [*made.params, *self._own()]
            self._complete()
        return self._params

    @params.setter
    def params(self, params: list[Any]) -> None:
        marks = getattr(self.callback, "__wrapped__", self.callback)
        self._like = getattr(marks, "like", None)
        wanted: dict[Callable[..., None], bool] = {
            _formats: hasattr(marks, "tabular"),
            _config: hasattr(marks, "configurable"),
            _likeness: self._like is not None,
        }
        self._further = (*(options for options, has in wanted.items() if has), verbosity_options)
        self._params = [*params, *self._own()]
        self._complete()

    def _complete(self) -> None:
        for parameter in self._params:
            complete(parameter)

    def _own(self) -> Iterable[Any]:
        """Options that the marks of the command give it."""
        return (parameter for options in self._further for parameter in _made(options).params)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments and options in groups, basic options first."""
        for title, members in grouped(self.get_params(ctx)).items():
            if rows := [row for member in members if (row := member.get_help_record(ctx)) is not None]:
                with formatter.section(title):
                    formatter.write_dl(rows)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the example as it is: a line to copy is not folded."""
        if example := EXAMPLES.get(ctx.command_path.partition(" ")[2]):
            formatter.write(f"\nExample:\n  {example}\n")

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse ``args``, refuse what is empty or without end, and tell which options were overridden."""
        if args and not ctx.resilient_parsing:
            given, _, order = self.make_parser(ctx).parse_args(args=list(args))
            ctx.default_map = {**(ctx.default_map or {}), **self._elsewhere(given)}
            for parameter in dict.fromkeys(order):
                if any(isinstance(text, str) and not text.strip() for text in _each(given.get(parameter.name))):
                    ctx.fail(f"{_name(parameter)} was given an empty value. Expected one that is not; or leave it out.")
                times = order.count(parameter)
                if times > 1 and parameter.param_type_name == "option" and not parameter.multiple:
                    echo(f"{_name(parameter)} was given {times} times: the last one counts.", err=True)
        rest: list[str] = super().parse_args(ctx, args)
        options = {parameter.name: parameter for parameter in self.get_params(ctx)}
        for name, value in ctx.params.items():
            option = options[name]
            if isinstance(value, float) and not math.isfinite(value):
                ctx.fail(f"{_name(option)} was given {value}. Expected a finite number.")
            if not ctx.resilient_parsing and (refusal := Choices.of(option).refusal(value)):
                ctx.fail(f"{_name(option)} was given {refusal}")
        return rest

    def _elsewhere(self, given: Mapping[str, Any]) -> dict[str, object]:
        """Options of the run of ``--like``, and before them those of the file of ``--config``."""
        found: dict[str, object] = {}
        if self._like is not None and given.get("like"):
            found |= defaults(self._like(given["like"]), self._params, str(given["like"]))
        if _config in self._further and given.get("config"):
            found |= defaults(read_config(given["config"]), self._params, str(given["config"]))
        return found

    def invoke(self, ctx: Any) -> Any:
        """Load the plug-ins, check the device, and run the command."""
        with printed_as(self._form(ctx)), messages(_verbosity(ctx)):
            return self._run(ctx)

    def _form(self, ctx: Any) -> Form | None:
        """What the rows are printed as; these options are no argument of the command."""
        for name in ("config", "like"):
            if {"config": _config, "like": _likeness}[name] in self._further:
                ctx.params.pop(name, None)
        if _formats not in self._further:
            return None
        asked = [kind for kind in ("json", "csv") if ctx.params.pop(kind)]
        if len(asked) > 1:
            ctx.fail("--json and --csv were given. Expected one of the two.")
        return Form(asked[0], ctx.command_path.partition(" ")[2]) if asked else None

    def _run(self, ctx: Any) -> Any:
        from zcbench.plugins import load_file

        given = ctx.params.get("plugin") or ()
        for file in (given,) if isinstance(given, Path) else given:
            load_file(file)
        if ctx.params.get("device"):
            from zcbench.runtime.devices import check_device

            check_device(ctx.params["device"])
        return super().invoke(ctx)


def _verbosity(ctx: Any) -> Verbosity:
    """How much the command says; these options are no argument of the command."""
    how = Verbosity(**{name: ctx.params.pop(name) for name in ("quiet", "verbose", "log_file")})
    if how.quiet and how.verbose:
        ctx.fail("--quiet and --verbose were given. Expected one of the two.")
    return how


def _made(function: Callable[..., object]) -> Any:
    """The command that typer makes of a function."""
    alone = Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    alone.command()(function)
    return get_command(alone)


def _formats(
    json: Annotated[bool, Option("--json", help="Print JSON: docs/command-line-output.md.")] = False,
    csv: Annotated[bool, Option("--csv", help="Print the rows as CSV.")] = False,
) -> None:
    """Options of a command that is `tabular`."""


def _config(
    config: Annotated[
        str | None,
        Option(metavar="FILE.yaml", help="File with options, a line 'OPTION: value' each; options given here win."),
    ] = None,
) -> None:
    """Option of a command that is `configurable`."""


def _likeness(
    like: Annotated[
        str | None,
        Option(metavar="RUN", help="Run whose options are the defaults; --config and options given here win."),
    ] = None,
) -> None:
    """Option of a command that reads the options of a run."""


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
