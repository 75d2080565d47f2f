"""`camtest pause|resume|stop|abort|halt|decide|answer|desk`: what an operator wants of the running observation."""

from __future__ import annotations

import json
from typing import Any

import click

REASON = click.option("-m", "--reason", default="", help="Why, for the record.")
WAIT = click.option(
    "--wait", type=float, default=0.0, metavar="SECONDS", help="Wait so long for the observation to end."
)
_AWAY = "The configuration manager does not answer"


def _ask(command: str, **arguments: Any) -> dict[str, Any]:
    """Sends a command to the configuration manager; errors are told as a person can use them."""
    from egse.confman import ConfigurationManagerProxy, ObservationError
    from egse.settings import SettingsError

    try:
        with ConfigurationManagerProxy(timeout=10.0) as manager:
            answer = getattr(manager, command)(**arguments)
    except ObservationError as exc:
        raise click.ClickException(str(exc)) from exc
    except (OSError, SettingsError) as exc:
        raise click.ClickException(f"{_AWAY}: {exc}") from exc
    return dict(answer or {})


def _give(verb: str, reason: str, wait: float = 0.0) -> None:
    desk = _ask("give_verb", verb=verb, reason=reason)
    observation = _ask("find_observation", run_id=desk["run_id"])
    click.echo(f"{verb}: observation {observation.get('obsid', desk['run_id'])}")
    if wait > 0:
        _await_end(desk["run_id"], wait)


def _await_end(run_id: str, wait: float) -> None:
    from egse.timing import wait_until

    if wait_until(lambda: _ask("find_observation", run_id=run_id).get("status"), timeout=wait, interval=0.2):
        raise click.ClickException(f"it has not ended within {wait:g} s; see `camtest desk`")
    observation = _ask("find_observation", run_id=run_id)
    click.echo(f"{observation['obsid']}: {observation['status']} ({observation['reason']})")


@click.command()
@REASON
def pause(reason: str) -> None:
    """Pause the running procedure at its next checkpoint or wait; `camtest resume` goes on."""
    _give("pause", reason)


@click.command()
@REASON
def resume(reason: str) -> None:
    """Go on after a pause."""
    _give("resume", reason)


@click.command()
@REASON
@WAIT
def stop(reason: str, wait: float) -> None:
    """End the running observation well, at its next checkpoint: status done."""
    _give("stop", reason, wait)


@click.command()
@REASON
@WAIT
def abort(reason: str, wait: float) -> None:
    """Abort the running observation at its next command or wait; the safes run. Status aborted."""
    _give("abort", reason, wait)


@click.command()
@REASON
@WAIT
def halt(reason: str, wait: float) -> None:
    """Abort the running observation and command nothing more: no safes run. Status aborted."""
    _give("halt", reason, wait)


@click.command()
@click.argument("decision", type=click.Choice(["continue", "skip", "retry", "abort"]))
@REASON
def decide(decision: str, reason: str) -> None:
    """Decide what becomes of the observation after a building block, or a cell of a run that is held, has failed.

    continue, skip: go on after it as if it had not; retry: it is repeated first; abort: make safe and end.
    """
    _give("continue" if decision == "skip" else decision, reason)


@click.command()
@click.argument("answer")
@click.option("-k", "--key", default="", help="Which question, when there are several; see `camtest desk`.")
def answer(answer: str, key: str) -> None:
    """Answer the question that the running procedure asks.

    Example: camtest answer yes
    """
    _ask("answer_question", answer=answer, key=key)
    click.echo(f"answered: {answer}")


@click.command(epilog="Example: camtest desk --follow")
@click.option(
    "--follow", "-f", is_flag=True, help="Print what changes, of all observations of the site, as JSON lines."
)
def desk(follow: bool) -> None:
    """Show how the running observation is, what operators want of it, and what it asks them."""
    if follow:
        _follow()
        return
    content = _ask("get_desk")
    observation = _ask("find_observation", run_id=content["run_id"])
    detail = f" ({content['detail']})" if content["detail"] else ""
    click.echo(f"{observation.get('obsid')}: {content['state']}{detail}")
    for verb in content["verbs"]:
        reached = "" if verb["reached"] else ", not reached yet"
        click.echo(
            f"  {verb['verb']} by {verb['by']} at {verb['at']}{reached}: {verb['reason'] or 'no reason given'}"
        )
    for question in content["questions"]:
        if question["answer"] is None:
            choices = f" [{'/'.join(question['choices'])}]" if question["choices"] else ""
            click.echo(f"  question {question['key']}: {question['text']}{choices}")


def _follow() -> None:
    """Prints events until Ctrl-C."""
    from camtest.core.news import follow_observations

    try:
        for event in follow_observations():
            click.echo(json.dumps(event))
    except KeyboardInterrupt:
        return
