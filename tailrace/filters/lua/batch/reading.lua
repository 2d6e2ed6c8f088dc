-- Reading: MessagePack values become Lua's, with shadows of lists and maps.

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
