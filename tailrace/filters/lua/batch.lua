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

-- ---------------------------------------------------------------------------------------------------- reading

local src            -- the input
local shadows = {}   -- table -> shadow, for the lists and maps within the record at hand
local is_flat = true -- whether `shadows` is empty
local exact          -- double -> place of the integer beyond 2^53 that became it

local function be32(at)
  return bswap(cast("const int32_t *", src + at)[0])
end

local function be32u(at)
  local n = be32(at)
  if n < 0 then return n + TWO_32 end
  return n
end

local read_list, read_map

-- The value at a place: the value, the next place, and whether Lua can't hold what it was.
local function read(at)
  local b = src[at]
  if b < 0x80 then
    return b, at + 1, false
  elseif b >= 0xe0 then
    return b - 256, at + 1, false
  elseif b >= 0xa0 and b < 0xc0 then
    local n = b - 0xa0
    return ffi_string(src + at + 1, n), at + 1 + n, false
  elseif b == 0xd9 then
    local n = src[at + 1]
    return ffi_string(src + at + 2, n), at + 2 + n, false
  elseif b == 0xcb then
    swap.i[1], swap.i[0] = be32(at + 1), be32(at + 5)
    local v = swap.d
    return v, at + 9, v == floor(v)
  elseif b == 0xcd then
    return src[at + 1] * 256 + src[at + 2], at + 3, false
  elseif b == 0xcc then
    return src[at + 1], at + 2, false
  elseif b == 0xce then
    return be32u(at + 1), at + 5, false
  elseif b == 0xc2 then
    return false, at + 1, false
  elseif b == 0xc3 then
    return true, at + 1, false
  elseif b == 0xc0 then
    return null, at + 1, null == nil
  elseif b < 0x90 then
    return read_map(at + 1, b - 0x80)
  elseif b < 0xa0 then
    return read_list(at + 1, b - 0x90)
  elseif b == 0xda then
    local n = src[at + 1] * 256 + src[at + 2]
    return ffi_string(src + at + 3, n), at + 3 + n, false
  elseif b == 0xdb then
    local n = be32u(at + 1)
    return ffi_string(src + at + 5, n), at + 5 + n, false
  elseif b == 0xcf or b == 0xd3 then
    local high = b == 0xcf and be32u(at + 1) or be32(at + 1)
    local v = high * TWO_32 + be32u(at + 5)
    if v >= EXACT or v <= -EXACT then
      if exact == nil then exact = {} end
      exact[v] = at
      return v, at + 9, true
    end
    return v, at + 9, false
  elseif b == 0xd0 then
    local n = src[at + 1]
    if n > 127 then n = n - 256 end
    return n, at + 2, false
  elseif b == 0xd1 then
    local n = src[at + 1] * 256 + src[at + 2]
    if n > 32767 then n = n - 65536 end
    return n, at + 3, false
  elseif b == 0xd2 then
    return be32(at + 1), at + 5, false
  elseif b == 0xde then
    return read_map(at + 3, src[at + 1] * 256 + src[at + 2])
  elseif b == 0xdf then
    return read_map(at + 5, be32u(at + 1))
  elseif b == 0xdc then
    return read_list(at + 3, src[at + 1] * 256 + src[at + 2])
  elseif b == 0xdd then
    return read_list(at + 5, be32u(at + 1))
  elseif b == 0xc4 then
    local n = src[at + 1]
    return ffi_string(src + at + 2, n), at + 2 + n, true
  elseif b == 0xc5 then
    local n = src[at + 1] * 256 + src[at + 2]
    return ffi_string(src + at + 3, n), at + 3 + n, true
  elseif b == 0xc6 then
    local n = be32u(at + 1)
    return ffi_string(src + at + 5, n), at + 5 + n, true
  end
  error("a value of MessagePack type " .. b .. " can't go into Lua")
end

-- How many bytes the value at a place takes; only kinds that `read` marks.
local function size_at(at)
  local b = src[at]
  if b == 0xc0 then return 1 end
  if b == 0xc4 then return 2 + src[at + 1] end
  if b == 0xc5 then return 3 + src[at + 1] * 256 + src[at + 2] end
  if b == 0xc6 then return 5 + be32u(at + 1) end
  return 9
end

function read_map(at, count)
  local made, shadow = new_table(0, count), new_table(3 * count, 1)
  for i = 1, 3 * count, 3 do
    local key, value, marked, place
    key, at = read(at)
    place = at
    value, at, marked = read(at)
    made[key] = value
    shadow[i], shadow[i + 1], shadow[i + 2] = key, value, marked and place
  end
  shadow.n = count
  shadows[made], is_flat = shadow, false
  return setmetatable(made, MAP), at, false
end

function read_list(at, count)
  local made, shadow = new_table(count, 0), new_table(3 * count, 1)
  for i = 1, count do
    local value, marked
    local place = at
    value, at, marked = read(at)
    made[i] = value
    shadow[3 * i - 2], shadow[3 * i - 1], shadow[3 * i] = i, value, marked and place
  end
  shadow.n = count
  shadows[made], is_flat = shadow, false
  return setmetatable(made, LIST), at, false
end

-- ---------------------------------------------------------------------------------------------------- writing

local capacity = 65536
local out = bytes_t(capacity)
local pos = 0

local function room(n)
  if pos + n > capacity then
    while pos + n > capacity do capacity = capacity * 2 end
    local bigger = bytes_t(capacity)
    ffi_copy(bigger, out, pos)
    out = bigger
  end
end

local function put32(at, n)
  out[at] = band(rshift(n, 24), 255)
  out[at + 1] = band(rshift(n, 16), 255)
  out[at + 2] = band(rshift(n, 8), 255)
  out[at + 3] = band(n, 255)
end

-- A list or map whose count stands fast only later; `put32(place, count)` then.
local function begin(tag)
  room(5)
  out[pos] = tag
  pos = pos + 5
  return pos - 4
end

local function write_nil()
  room(1)
  out[pos] = 0xc0
  pos = pos + 1
end

local function write_text(s)
  local n = #s
  room(n + 5)
  if n < 32 then
    out[pos] = 0xa0 + n
    pos = pos + 1
  elseif n < 256 then
    out[pos], out[pos + 1] = 0xd9, n
    pos = pos + 2
  else
    out[pos] = 0xdb
    put32(pos + 1, n)
    pos = pos + 5
  end
  ffi_copy(out + pos, s, n)
  pos = pos + n
end

local function write_raw(at)
  local n = size_at(at)
  room(n)
  ffi_copy(out + pos, src + at, n)
  pos = pos + n
end

local function write_number(v)
  room(9)
  if v >= 0 and v < TWO_32 and v == floor(v) then
    if v < 128 then
      out[pos] = v
      pos = pos + 1
    elseif v < 256 then
      out[pos], out[pos + 1] = 0xcc, v
      pos = pos + 2
    else
      out[pos] = 0xce
      local low = v
      if low >= TWO_31 then low = low - TWO_32 end
      put32(pos + 1, low)
      pos = pos + 5
    end
  elseif v < 0 and v >= -TWO_31 and v == floor(v) then
    out[pos] = 0xd2
    put32(pos + 1, v)
    pos = pos + 5
  elseif v == floor(v) and v >= -TWO_63 and v < TWO_63 then
    if exact and exact[v] and not plain then return write_raw(exact[v]) end
    local high = floor(v / TWO_32)
    local low = v - high * TWO_32
    if high >= TWO_31 then high = high - TWO_32 end
    if low >= TWO_31 then low = low - TWO_32 end
    out[pos] = 0xd3
    put32(pos + 1, high)
    put32(pos + 5, low)
    pos = pos + 9
  else
    if exact and exact[v] and not plain then return write_raw(exact[v]) end
    swap.d = v
    out[pos] = 0xcb
    for i = 0, 7 do out[pos + 1 + i] = swap.b[7 - i] end
    pos = pos + 9
  end
end

local function write_integer_64(v, tag)
  room(9)
  out[pos] = tag
  put32(pos + 1, bit.tobit(rshift(cast(uint64_t, v), 32)))
  put32(pos + 5, bit.tobit(v))
  pos = pos + 9
end

local write_table

local function write(v, depth)
  local kind = type(v)
  if kind == "string" then
    write_text(v)
  elseif kind == "number" then
    write_number(v)
  elseif kind == "boolean" then
    room(1)
    out[pos] = v and 0xc3 or 0xc2
    pos = pos + 1
  elseif kind == "table" then
    write_table(v, depth)
  elseif v == nil or rawequal(v, null) then
    write_nil()
  elseif istype(int64_t, v) then
    write_integer_64(v, 0xd3)
  elseif istype(uint64_t, v) then
    write_integer_64(v, 0xcf)
  else
    error("a " .. kind .. " can't be part of a record", 0)
  end
end

local function is_whole(v)
  return v >= -TWO_63 and v < TWO_63
end

local function truncated(v)
  if v < 0 then return -floor(-v) end
  return floor(v)
end

-- Whether a key is among those of `type_int_key` or `type_array_key`.
local function is_among(key, listed)
  if listed[key] then return true end
  if plain then -- Compat: the original takes a key that a listed one begins with for that one.
    for each in next, listed do
      if each:sub(1, #key) == key then return true end
    end
  end
  return false
end

local function write_key(key)
  if type(key) == "string" then
    write_text(key)
  elseif type(key) == "number" or type(key) == "boolean" then
    write_text(tostring(key))
  else
    error("a " .. type(key) .. " can't be a key of a record", 0)
  end
end

-- How a table goes out: the length of a list, or nil for a map.
local function list_length(t)
  local meta = getmetatable(t)
  if type(meta) == "table" then
    local kind = rawget(meta, "type")
    if type(kind) == "number" and kind >= 0 then
      if kind ~= 1 then return nil end
      if plain then return #t end
      local longest = maxn(t)
      local shadow = shadows[t]
      if shadow and shadow.n > longest then
        -- Trailing nulls of a list are still there unless the script took something away.
        local n = shadow.n
        while n > longest and shadow[3 * n] do n = n - 1 end
        if n == longest then return shadow.n end
      end
      return longest
    end
  end
  local longest = maxn(t)
  if longest <= 0 or longest ~= floor(longest) then return nil end
  if plain then return longest end
  local count = 0
  for key in next, t do
    if type(key) ~= "number" or key < 1 or key ~= floor(key) then return nil end -- text keys: a map keeps them all
    count = count + 1
  end
  if longest > 1000 and longest > 8 * count then return nil end -- a few numbers far apart are no list
  return longest
end

local function write_list(t, length, depth)
  local shadow = not plain and shadows[t] or nil
  put32(begin(0xdd), length)
  for i = 1, length do
    local v = rawget(t, i)
    if shadow and i <= shadow.n and shadow[3 * i] and rawequal(v, shadow[3 * i - 1]) then
      write_raw(shadow[3 * i])
    else
      write(v, depth + 1)
    end
  end
end

-- A field's value; `place` is where it stands in the input if it is unchanged and Lua can't hold it.
local function write_field(key, v, place, depth)
  if has_types and type(key) == "string" then
    if type(v) == "number" and is_among(key, int_keys) then
      if place and src[place] ~= 0xcb then return write_raw(place) end
      local whole = truncated(v)
      if is_whole(whole) then return write_number(whole) end
      if plain then return write_number(-TWO_63) end
      return write_number(v)
    elseif type(v) == "table" and is_among(key, list_keys) then
      local length = list_length(v)
      if plain then return write_list(v, #v, depth) end
      if length or next(v) == nil then return write_list(v, length or 0, depth) end
    end
  end
  if place then return write_raw(place) end
  return write(v, depth)
end

-- A map with the keys of its shadow first, in their order.
local function write_map(t, shadow, depth)
  local count, place = 0, begin(0xdf)
  local known
  if shadow then
    known = new_table(0, shadow.n)
    for i = 1, 3 * shadow.n, 3 do
      local key, was, mark = shadow[i], shadow[i + 1], shadow[i + 2]
      local v = rawget(t, key)
      known[key] = true
      if v ~= nil or (was == nil and mark) then
        write_key(key)
        write_field(key, v, mark and rawequal(v, was) and mark, depth + 1)
        count = count + 1
      end
    end
  end
  for key, v in next, t do
    if not (known and known[key]) then
      write_key(key)
      write_field(key, v, false, depth + 1)
      count = count + 1
    end
  end
  put32(place, count)
end

function write_table(t, depth)
  if depth > MOST_DEPTH then error("a table is nested too deeply, or in itself", 0) end
  local length = list_length(t)
  if length then
    write_list(t, length, depth)
  else
    write_map(t, not plain and shadows[t] or nil, depth)
  end
end

-- ---------------------------------------------------------------------------------------------------- comparing

-- Whether a list or map differs from what came in. With type conversions everything counts as changed.
local function is_touched(t, depth)
  local shadow = shadows[t]
  if shadow == nil or has_types or depth > MOST_DEPTH then return true end
  local found = 0
  for i = 1, 3 * shadow.n, 3 do
    local v = rawget(t, shadow[i])
    if not rawequal(v, shadow[i + 1]) or (type(v) == "table" and is_touched(v, depth + 1)) then return true end
    if v ~= nil then found = found + 1 end
  end
  for _ in next, t do found = found - 1 end
  local meta = getmetatable(t)
  return found ~= 0 or (meta ~= LIST and meta ~= MAP)
end

local fields -- the names of the only fields that cross, or nil
local written -- the names of fields that the function writes and never reads
local is_field = {} -- the set of `fields`
local UNTOUCHED = newproxy()

-- The record at hand: its table, and its keys, values and marks, reused from record to record.
local keys, values, marks, count = {}, {}, {}, 0
local seen, seen_size, number = {}, 0, 0 -- key -> the last record that had it
local changed, removed = {}, {}

local function read_record(at)
  local b = src[at]
  local n
  if b < 0x90 then
    n, at = b - 0x80, at + 1
  elseif b == 0xde then
    n, at = src[at + 1] * 256 + src[at + 2], at + 3
  else
    n, at = be32u(at + 1), at + 5
  end
  number = number + 1
  if seen_size > 4096 then seen, seen_size = {}, 0 end
  local record = new_table(0, n + 1)
  for i = 1, n do
    local key, value, marked
    key, at = read(at)
    local place = at
    value, at, marked = read(at)
    record[key] = value
    keys[i], values[i], marks[i] = key, value, marked and place
    if seen[key] == nil then seen_size = seen_size + 1 end
    seen[key] = number
  end
  count = n
  return setmetatable(record, MAP), at
end

-- The same for the fields that the function reads. Those that aren't there count as nil.
local function read_row(at)
  local record = new_table(0, count + #written)
  local head, left = src[at], count -- pairs of a map that are still to come
  local is_map = head >= 0x80 and head < 0x90 or head == 0xde
  if is_map then left = head == 0xde and src[at + 1] * 256 + src[at + 2] or head - 0x80 end
  at = at + (head >= 0x80 and head < 0xa0 and 1 or 3)
  local key, after
  if is_map and left > 0 then key, after = read(at) end
  for i = 1, count do
    local value, place
    if not is_map or (left > 0 and key == keys[i]) then
      if is_map then at = after end
      place = at
      local marked
      value, at, marked = read(at)
      if not marked then place = false end
      left = left - 1
      if is_map and left > 0 then key, after = read(at) end
      if value ~= nil then record[keys[i]] = value end
    end
    values[i], marks[i] = value, place
  end
  for i = 1, #written do record[written[i]] = UNTOUCHED end
  return setmetatable(record, MAP), at
end

-- What a script did to the record's own table: fills `changed` and `removed`, gives their sizes and the number of new keys.
local function compare(record)
  local changes, gone, present = 0, 0, 0
  for i = 1, count do
    local v = rawget(record, keys[i])
    if v ~= nil then
      present = present + 1
      if not rawequal(v, values[i]) or (type(v) == "table" and is_touched(v, 1)) then
        changes = changes + 1
        changed[changes] = i
      end
    elseif values[i] ~= nil then
      gone = gone + 1
      removed[gone] = keys[i]
    end
  end
  local fresh = 0
  if fields then
    for i = 1, #written do
      local v = rawget(record, written[i])
      if v == nil then
        gone = gone + 1
        removed[gone] = written[i]
      elseif v ~= UNTOUCHED then
        fresh = fresh + 1
      end
    end
    return changes, gone, fresh
  end
  for _ in next, record do fresh = fresh + 1 end
  return changes, gone, fresh - present
end

local function write_changes(record, changes, fresh)
  local place, written_count = begin(0xdf), changes
  for j = 1, changes do
    local i = changed[j]
    local key = keys[i]
    local v = rawget(record, key)
    write_key(key)
    write_field(key, v, marks[i] and rawequal(v, values[i]) and marks[i], 1)
  end
  if fields then
    for i = 1, #written do
      local v = rawget(record, written[i])
      if v ~= nil and v ~= UNTOUCHED then
        write_text(written[i])
        write(v, 1)
      end
    end
    written_count = written_count + fresh
  elseif fresh > 0 then
    for key, v in next, record do
      if seen[key] ~= number then
        write_key(key)
        write_field(key, v, false, 1)
        written_count = written_count + 1
      end
    end
  end
  put32(place, written_count)
end

-- With type conversions, unchanged fields of the listed keys change as well.
local function add_typed(record, changes)
  local at = 1
  for i = 1, count do
    if changed[at] == i and at <= changes then
      at = at + 1
    elseif int_keys[keys[i]] or list_keys[keys[i]] then
      local v = rawget(record, keys[i])
      if type(v) == "table" or (type(v) == "number" and (v ~= floor(v) or (marks[i] and src[marks[i]] == 0xcb))) then
        changes = changes + 1
        changed[changes] = i
      end
    end
  end
  return changes
end

-- A record that a script returns in place of the one at hand: fields that it has from that one come first, as they were there.
local function write_fresh(t)
  local written_count, place = 0, begin(0xdf)
  for i = 1, count do
    local key = keys[i]
    local v = rawget(t, key)
    if v ~= nil then
      write_text(key)
      write_field(key, v, marks[i] and rawequal(v, values[i]) and marks[i], 1)
      written_count = written_count + 1
    end
  end
  for key, v in next, t do
    if fields and not is_field[key] or not fields and seen[key] ~= number then
      write_key(key)
      write_field(key, v, false, 1)
      written_count = written_count + 1
    end
  end
  put32(place, written_count)
end

-- One of the records that a script returned.
local function write_record(t)
  local shadow = shadows[t]
  if plain then
    write_map(t, nil, 0)
  elseif shadow then
    write_map(t, shadow, 0)
  else
    write_fresh(t)
  end
end

-- ---------------------------------------------------------------------------------------------------- time

local function write_time(seconds, nanoseconds)
  room(1)
  out[pos] = 0x92
  pos = pos + 1
  write_number(seconds)
  write_number(nanoseconds)
end

-- The time that was returned, in seconds and nanoseconds; nothing if it is the old one or none.
local function new_time(given, is_table, sec, nsec, double)
  local s, n
  if is_table then
    if type(given) ~= "table" then return nil end
    s, n = truncated(tonumber(given.sec) or 0), truncated(tonumber(given.nsec) or 0)
    if s == sec and n == nsec then return nil end
  else
    local d = tonumber(given)
    if d == nil and plain then d = 0 end
    if d == nil or (d == double and not plain) then return nil end
    s = truncated(d)
    n = truncated((d - s) * 1e9)
  end
  if not (s >= 0 and s < LAST_SECOND and n >= 0 and n < LAST_SECOND) then
    error("returned a time before 1970 or after 2106", 0)
  end
  return s, n
end

-- ---------------------------------------------------------------------------------------------------- the calls

local function returned_code(code)
  local n = tonumber(code)
  if n == nil or n ~= n then return 0 end
  return truncated(n)
end

local function is_list_of_tables(t, length)
  for i = 1, length do
    local each = rawget(t, i)
    if type(each) ~= "table" or list_length(each) then return false end
  end
  return true
end

-- [records, metadata, time]
local function write_replaced(new, length, metadata, meta_length, sec, nsec)
  room(6)
  out[pos] = 0x93
  pos = pos + 1
  if length == nil then
    put32(begin(0xdd), 1)
    write_record(new)
  else
    put32(begin(0xdd), length)
    for i = 1, length do write_record(rawget(new, i)) end
  end
  if metadata == nil then
    write_nil()
  elseif meta_length then
    write_list(metadata, meta_length, 0)
  else
    put32(begin(0xdd), 1)
    write_table(metadata, 0)
  end
  if sec then write_time(sec, nsec) else write_nil() end
end

-- What the function made of the record at hand. `given` is the table it got, `new` the one it returned.
local function write_result(code, given, new, meta_given, metadata, time, old_sec, old_nsec, old_double)
  if type(new) ~= "table" then
    error("returned code " .. code .. " with a " .. type(new) .. " where the record should be", 0)
  end
  local sec, nsec
  if code == 1 then sec, nsec = new_time(time, is_table, old_sec, old_nsec, old_double) end
  if type(metadata) ~= "table" or (not plain and rawequal(metadata, meta_given) and not is_touched(metadata, 0)) then
    metadata = nil
  end
  local length = list_length(new)
  if length == nil and not rawequal(new, given) and is_list_of_tables(new, 1) then
    length = maxn(new) -- records, with text keys beside them
    if not is_list_of_tables(new, length) then length = nil end
  end
  local meta_length = metadata and list_length(metadata)
  if meta_length and (meta_length ~= length or not is_list_of_tables(metadata, meta_length)) then
    error("returned metadata that is neither a map nor a list of as many maps as there are records", 0)
  end
  if not rawequal(new, given) or length or plain then
    if length and not is_list_of_tables(new, length) then
      error("returned a list that holds something else than records", 0)
    end
    return write_replaced(new, length, metadata, meta_length, sec, nsec)
  end
  local changes, gone, fresh = compare(new)
  if has_types then changes = add_typed(new, changes) end
  if gone == 0 and sec == nil and metadata == nil then
    if changes == 0 and fresh == 0 then return write_nil() end
    return write_changes(new, changes, fresh)
  end
  room(1)
  out[pos] = 0x94
  pos = pos + 1
  write_changes(new, changes, fresh)
  put32(begin(0xdd), gone)
  for i = 1, gone do write_text(removed[i]) end
  if sec then write_time(sec, nsec) else write_nil() end
  if metadata then write_table(metadata, 0) else write_nil() end
end

local function write_failure(start, message)
  pos = start
  write_text(tostring(message))
end

local globals, name, guard = _G, settings.call, settings.guard
local five, only

-- One batch: `input` holds the records and, from `meta_at` on, their metadata (or -1); `times` int64 nanoseconds.
local function run(input, total, times, tag, meta_at)
  src = cast("const uint8_t *", input)
  local ns = cast("const int64_t *", times)
  local header = total < 16 and 1 or total < 65536 and 3 or 5
  local at = header
  if meta_at >= 0 then meta_at = meta_at + header end
  pos = 0
  put32(begin(0xdd), total)
  for i = 0, total - 1 do
    if not is_flat then shadows, is_flat = {}, true end
    exact = nil
    local record, metadata, meta_given
    if fields then record, at = read_row(at) else record, at = read_record(at) end
    local start = pos
    local seconds = ns[i] / 1000000000LL
    local sec, nsec = tonumber(seconds), tonumber(ns[i] - seconds * 1000000000LL)
    local double = sec + nsec / 1e9
    local stamp = double
    if is_table then stamp = { sec = sec, nsec = nsec } end
    if guard then guard() end
    local ok, code, time, new
    if five then
      if meta_at >= 0 then
        meta_given, meta_at = read(meta_at)
      else
        meta_given = setmetatable({}, MAP)
        shadows[meta_given], is_flat = { n = 0 }, false
      end
      ok, code, time, metadata, new = pcall(only or globals[name], tag, stamp, {}, meta_given, record)
    else
      ok, code, time, new = pcall(only or globals[name], tag, stamp, record)
    end
    if not ok then
      write_failure(start, code)
    else
      code = returned_code(code)
      if code == -1 then
        room(1)
        out[pos] = 0xc3
        pos = pos + 1
      elseif code == 1 or code == 2 then
        local done, message = pcall(write_result, code, record, new, meta_given, metadata, time, sec, nsec, double)
        if not done then write_failure(start, message) end
      elseif code == 0 then
        write_nil()
      else
        write_failure(start, "returned the unexpected code " .. code)
      end
    end
  end
  pcall(stdout.flush, stdout)
  return ffi_string(out, pos)
end

-- The function is looked up at each call, as the original does, for a script may define it anew; one whose fields are known isn't.
return function()
  five, fields, written = settings.parameters == 5, settings.fields, settings.written
  if fields then
    only = globals[name]
    for i = 1, #fields do keys[i], is_field[fields[i]] = fields[i], true end
    count = #fields
  end
  return run
end
