-- Writing: Lua's values become MessagePack, what came in unchanged as it was.

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
local current -- the table of the record at hand
local write_current -- (table, depth): see records.lua

-- What can't be written sets `failure`, which the caller looks at in the end. It isn't thrown: compiled code can't return
-- through a pcall that it didn't see begin, and would fall back to the interpreter for each record.
local failure

local function fail(message)
  failure = failure or message
end

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
    fail("a " .. kind .. " can't be part of a record")
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
    fail("a " .. type(key) .. " can't be a key of a record")
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
  if failure then return end
  if depth > MOST_DEPTH then return fail("a table is nested too deeply, or in itself") end
  local length = list_length(t)
  if length then
    write_list(t, length, depth)
  elseif not plain and rawequal(t, current) then
    write_current(t, depth)
  else
    write_map(t, not plain and shadows[t] or nil, depth)
  end
end
