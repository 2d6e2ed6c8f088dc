--[[ One call of a user's function for each record of a batch, inside LuaJIT.

The batch comes as one MessagePack array of maps and goes back as one MessagePack array with an element for each
record, in order:

    nil                                      the record stays as it was
    true                                     the record is dropped
    {key: value}                             fields that changed or are new
    [fields, removed, time, metadata]        the same, and what else changed
    [records, metadata, time]                other records in its place; metadata: a list, or nil for what it had
    "text"                                   the call failed: the record stays as it was

`time` is nil (as it was) or [seconds, nanoseconds]; `metadata` in the four-element form is a map or nil.

Types survive by comparison. What a record held is kept beside its table (a "shadow": key, value and, where Lua's
number or nil can't hold the value, its place in the input, three slots each). A field that a script leaves alone isn't
sent back at all, and within a changed list or map the untouched parts are copied from the input byte by byte.

When `fields` is set (see fields.lua), the batch comes as an array of rows instead, each with the values of the fields that
the function reads, in their order, or as an array of maps of them, in that order too, if a record lacks one. Fields that
are only written hold a placeholder, so that one sees what becomes of them.

The files of this folder are one chunk of Lua, in the order that script.py names them: they share their locals.

Memory layout of MessagePack: github.com/msgpack/msgpack/blob/master/spec.md.
]]

local ffi = require("ffi")
local bit = require("bit")
local new_table = require("table.new")
local setmetatable, getmetatable, rawget, rawequal = setmetatable, getmetatable, rawget, rawequal
local type, next, pcall, tostring, tonumber, error = type, next, pcall, tostring, tonumber, error
local floor, maxn, ffi_string, ffi_copy, bswap = math.floor, table.maxn, ffi.string, ffi.copy, bit.bswap
local band, rshift = bit.band, bit.rshift
local int64_t, uint64_t = ffi.typeof("int64_t"), ffi.typeof("uint64_t")
local bytes_t = ffi.typeof("uint8_t[?]")
local swap = ffi.new("union { double d; float f; int32_t i[2]; uint8_t b[8]; }")
local istype, cast = ffi.istype, ffi.cast
local stdout = io.stdout

local MOST_DEPTH = 200
local EXACT = 9007199254740992 -- 2^53: from here on a double can't hold every integer
local LAST_SECOND = 4294967294
local TWO_31, TWO_32, TWO_63 = 2147483648, 4294967296, 9223372036854775808

-- Scripts see these as metatables and may set their own: `type` 1 makes a table a list, 2 a map.
local LIST, MAP = { type = 1 }, { type = 2 }

local settings = ...
local null = settings.null        -- what a null is in Lua: nil or flb_null
local plain = settings.compat     -- values go as the original would send them
local int_keys, list_keys = settings.int_keys, settings.list_keys
local is_table = settings.time_as_table
local has_types = next(int_keys) ~= nil or next(list_keys) ~= nil
