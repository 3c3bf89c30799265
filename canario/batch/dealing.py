"""Which share of an input's files an index takes: all indexes of a run deal out one list, however far apart they begin.

    OUTPUT/_inputs.json     what was asked for, and the files' names in order; made once, by whichever index begins first
    OUTPUT/index-0/         the output of one index, a folder of parts

Without the list a file that comes, or goes, between the starts of two pods would move every file behind it to another index.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace

import msgspec

from canario.batch.inputs import Source, found_in, readable, source_of
from canario.batch.parts import SUCCESS_FILE
from canario.batch.places import Place, place_of
from canario.batch.settings import ScoreSettings
from canario.errors import Conflict, InputError, IntegrityError, NotFound

LIST_FILE = "_inputs.json"
ANEW = "name another OUTPUT, or remove this one, with all its indexes"
SHOWN_NAMES = 3

Note = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class InputList:
    """The files of a run."""

    input: str
    """Where they were looked for, while an index of the run is not done. Then it is empty: each index's manifest proves its
    files by their digests from then on, and an output is the same wherever its input was mounted."""
    indexes: int
    files: tuple[str, ...]
    """Their names below the input, in order; index I takes those number I, I + indexes, ..., counted from 0."""


def is_dealt(settings: ScoreSettings) -> bool:
    """Whether others take a share of the same files."""
    return (settings.partitions or 1) > 1


def folder_of(output: Place, index: int) -> Place:
    """Where an index writes: a folder of its own, so that no two write into one."""
    return output.below(f"index-{index}")


def dealt(url: str, output: Place, settings: ScoreSettings, note: Note) -> list[Source]:
    """The settings' share of the files that the run began with.

    Raises Conflict when the run there is another one, InputError when a file of the share has gone, and what `sources_of`
    raises.
    """
    place = output.below(LIST_FILE)
    there = {found.name: found for found in found_in(url, settings)}
    asked = InputList(input=_whereabouts(url, settings), indexes=settings.partitions or 1, files=tuple(there))
    listed = _read(place)
    if listed is None:
        for found in there.values():  # what no index could read shall be said before it is listed
            source_of(found, settings)
        place.write_new(_json(asked))
        listed = _read(place) or asked
    _refuse_another(listed, asked, place)
    share = listed.files[settings.partition :: listed.indexes]
    gone = [name for name in share if name not in there]
    if gone:
        raise InputError(
            f"{', '.join(gone[:SHOWN_NAMES])} has gone from the input since the run began",
            at=url,
            hint=f"bring it back and run the same command; or {ANEW}",
        )
    late = sorted(there.keys() - {*listed.files})
    if late:
        names = ", ".join(late[:SHOWN_NAMES]) + (", ..." if len(late) > SHOWN_NAMES else "")
        note(f"files that came after the run had begun, and belong to the next one: {len(late):,} ({names})")
    return readable([there[name] for name in share], settings)


def close(output: Place, settings: ScoreSettings) -> None:
    """Called when an index is done: with the last one the run is."""
    indexes = settings.partitions or 1
    if not all(folder_of(output, index).below(SUCCESS_FILE).exists() for index in range(indexes)):
        return
    place = output.below(LIST_FILE)
    listed = _read(place)
    if listed is not None and listed.input:
        place.write_with_others(_json(replace(listed, input="")))
    place.remove_staging()


def _whereabouts(url: str, settings: ScoreSettings) -> str:
    """An input's address, the same however it was written."""
    place = place_of(url, settings.storage)
    return os.path.realpath(place.path) if place.is_local else str(place.system.unstrip_protocol(place.path))


def _refuse_another(listed: InputList, asked: InputList, place: Place) -> None:
    """Raise Conflict when the list was made for something else."""
    if listed.indexes != asked.indexes:
        what = f"it deals files out to {listed.indexes} indexes, and this one to {asked.indexes}"
    elif listed.input and listed.input != asked.input:
        what = f"its input is {listed.input}, and this one's {asked.input}"
    else:
        return
    raise Conflict(f"the folder holds another run: {what}", at=place.url, hint=ANEW)


def _json(listed: InputList) -> bytes:
    return msgspec.json.format(msgspec.json.encode(listed), indent=2) + b"\n"


def _read(place: Place) -> InputList | None:
    try:
        return msgspec.json.decode(place.read(), type=InputList)
    except NotFound:
        return None
    except (msgspec.DecodeError, msgspec.ValidationError) as broken:
        raise IntegrityError(f"it is not what was written: {broken}", at=place.url, hint=ANEW) from broken
