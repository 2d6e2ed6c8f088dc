"""A script in a LuaJIT of its own: loading it, and calling its function for a batch."""

from __future__ import annotations

import re
import socket
from array import array
from collections.abc import Callable, Sequence
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tailrace.config import ConfigError
from tailrace.model import Body, Group, Groups, Metadata, group_runs
from tailrace.plugin import Context
from tailrace.wire.msgpack import pack, unpack
from tailrace.wire.size import groups_shown

if TYPE_CHECKING:
    from tailrace.filters.lua import LuaOptions

BATCH = ("head.lua", "reading.lua", "writing.lua", "records.lua", "calls.lua")
"""Parts of one chunk, in this order."""
HERE = Path(__file__).parent
MOST_TIME, LEAST_TIME = (1 << 63) - 1, -(1 << 63)

# Load a script, say how many parameters the function takes and which fields it can touch. Scripts have all of Lua but two things: `python`, which is
# lupa's way out, and `os.exit`, which would end the agent.
PREPARE = b"""
local settings, find_fields = ...
local getinfo = debug.getinfo
python = nil
os.exit = function() error("os.exit can't be called in a filter", 2) end
FLB_ENV = {}
if settings.enable_flb_null then
  flb_null = newproxy(true)
  getmetatable(flb_null).__tostring = function() return "userdata: NULL" end
  settings.null = flb_null
end
if settings.time_limit > 0 then
  jit.off()
  local clock, limit, deadline = os.clock, settings.time_limit, 0
  settings.guard = function(is_on) deadline = is_on and clock() + limit or math.huge end
  settings.guard(true)
  debug.sethook(function()
    if clock() > deadline then error("the call took longer than time_limit", 2) end
  end, "", 10000)
end
package.path = package.path .. settings.path
return function(text, name)
  local load_text, message = loadstring(text, name)
  if load_text == nil then return message end
  local ok, failure = pcall(load_text)
  if not ok then return tostring(failure) end
  local called = _G[settings.call]
  if type(called) ~= "function" then return nil end
  settings.parameters = getinfo(called, "u").nparams
  if settings.may_choose then
    settings.fields, settings.written = find_fields(called, settings.parameters)
  end
  return settings.parameters, settings.fields
end
"""


class Script:
    """A script and the LuaJIT it runs in. Raises `ConfigError` when it can't be read, loaded or called."""

    def __init__(self, options: LuaOptions, context: Context) -> None:
        if not options.call:
            raise ConfigError("call is missing.", "Name the function: call NAME.")
        text, name, folder = read_script(options, context)
        try:
            from lupa import luajit21
        except ImportError as error:
            raise ConfigError(
                "Lua scripts need the package lupa.", "Install it: pip install 'tailrace[lua]'"
            ) from error
        self.runtime: Any = luajit21.LuaRuntime(
            encoding=None,
            register_eval=False,
            register_builtins=False,
            unpack_returned_tuples=True,
        )
        self.lua_error = luajit21.LuaError
        table = self.runtime.table_from
        settings = table(
            {
                b"call": options.call.encode(),
                b"compat": options.compat,
                b"enable_flb_null": options.enable_flb_null,
                b"time_as_table": options.time_as_table,
                b"time_limit": options.time_limit,
                b"int_keys": table(dict.fromkeys(map(str.encode, options.type_int_key), True)),
                b"list_keys": table(dict.fromkeys(map(str.encode, options.type_array_key), True)),
                b"may_choose": may_choose(options, text),
                b"path": f";{folder}/?.lua".encode(errors="surrogateescape"),
            }
        )
        # The modules come before the script, so that they have Lua's own functions whatever it does to them.
        find_fields = self.runtime.compile(
            (HERE / "fields.lua").read_bytes(), name=b"@fields.lua"
        )()
        load = self.runtime.execute(PREPARE, settings, find_fields)
        parts = [(HERE / "batch" / part).read_bytes() for part in BATCH]
        batch = self.runtime.compile(b"".join(parts), name=b"@batch.lua")(settings)
        variables = self.runtime.globals()[b"FLB_ENV"]
        for key, value in {"HOSTNAME": socket.gethostname(), **context.variables}.items():
            variables[key.encode()] = value.encode(errors="surrogateescape")
        loaded = load(text, name)
        if isinstance(loaded, bytes):
            raise ConfigError(f"the Lua script does not load: {loaded.decode(errors='replace')}")
        if loaded is None:
            raise ConfigError(
                f"the Lua script defines no function '{options.call}'.",
                "Correct call, or define the function in the script (not as a local one).",
            )
        self.call: Any = batch()
        self.fields: list[str] | None = None
        self.rows: Callable[[list[Body]], list[Any]] = list
        if isinstance(loaded, tuple) and loaded[1] is not None:
            names = [key.decode(errors="surrogateescape") for key in loaded[1].values()]
            self.fields, self.rows = names, rows_of(names)

    def run(
        self,
        bodies: list[Body],
        metadata: list[Metadata] | None,
        times: Sequence[int],
        tag: str,
        groups: Groups | None = None,
    ) -> list[Any]:
        """One element for each record, as `batch/head.lua` says; `MsgpackError` if a record can't be written."""
        records = pack(self.rows(bodies))
        meta_at = -1
        if metadata is not None:
            meta_at = len(records)
            records += pack(metadata)
        group_at, is_large = None, False
        if groups is not None:
            is_large = groups_shown(groups) is not groups
            places, packed = group_places(groups, len(records))
            records, group_at = records + packed, places.tobytes()
        try:
            stamps = array("q", times)
        except OverflowError:  # beyond the year 2262: only the script sees another time
            stamps = array("q", [min(max(time, LEAST_TIME), MOST_TIME) for time in times])
        name = tag.encode(errors="surrogateescape")
        try:
            answer: bytes = self.call(
                records, len(bodies), stamps.tobytes(), name, meta_at, group_at, is_large
            )
        except self.lua_error as error:  # out of memory, for one
            return [str(error)] * len(bodies)
        result: list[Any] = unpack(answer)
        return result


def group_places(groups: Sequence[Group | None], start: int) -> tuple[array[int], bytes]:
    """The place of each record's group (-1: none) where those follow at `start`, and their bodies as they stand there."""
    places, packed = array("i"), bytearray()
    for group, begin, end in group_runs(groups):
        places.extend([-1 if group is None else start + len(packed)] * (end - begin))
        if group is not None:
            packed += pack(group.body)
    return places, bytes(packed)


def read_script(options: LuaOptions, context: Context) -> tuple[bytes, bytes, Path]:
    """The text of the script, its name in messages, and the folder where `require` looks last."""
    if options.code:
        return options.code.encode(errors="surrogateescape"), b"=code", context.config_dir
    if not options.script:
        raise ConfigError("there is no script.", "Add script FILE, or code with the script itself.")
    path = Path(options.script)
    for candidate in (path, context.config_dir / path):
        if candidate.exists():
            try:
                text = candidate.read_bytes()
            except OSError as error:
                raise ConfigError(
                    f"script {str(path)!r} can't be read: {error.strerror}."
                ) from error
            return text, b"@" + str(candidate).encode(errors="surrogateescape"), candidate.parent
    raise ConfigError(f"there is no script {str(path)!r}.", "Give the path of a file.")


WORDS = re.compile(rb"[A-Za-z_]\w*")
REACHING = {b"debug", b"_G", b"getfenv", b"setfenv", b"load", b"loadstring", b"loadfile", b"dofile"}
"""What could get at a record, or change the function, behind its code."""


def may_choose(options: LuaOptions, text: bytes) -> bool:
    """Whether it would do to hand over only the fields that the function can touch."""
    if options.compat or options.type_int_key or options.type_array_key:
        return False  # these change fields that the script doesn't name
    words = WORDS.findall(text)
    return words.count(options.call.encode()) == 1 and not REACHING.intersection(words)


def rows_of(names: list[str]) -> Callable[[list[Body]], list[Any]]:
    """Makes of bodies rows with the values of these fields; maps if a body lacks one."""
    if not names:
        return lambda bodies: [()] * len(bodies)
    pick = itemgetter(*names)
    name = names[0]
    is_one = len(names) == 1

    def rows(bodies: list[Body]) -> list[Any]:
        try:
            return [(body[name],) for body in bodies] if is_one else list(map(pick, bodies))
        except KeyError:
            return [{name: body[name] for name in names if name in body} for body in bodies]

    return rows
