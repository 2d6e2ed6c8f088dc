-- Comparing: what became of a record.

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

-- A map with the fields that it has from the record at hand first, as they were there: that record itself, within another
-- table, or one that a script returns in its place.
function write_current(t, depth)
  local written_count, place, is_own = 0, begin(0xdf), rawequal(t, current)
  for i = 1, count do
    local key = keys[i]
    local v = rawget(t, key)
    if v ~= nil or (is_own and values[i] == nil and marks[i]) then
      write_text(key)
      write_field(key, v, marks[i] and rawequal(v, values[i]) and marks[i], depth + 1)
      written_count = written_count + 1
    end
  end
  for key, v in next, t do
    if fields and not is_field[key] or not fields and seen[key] ~= number then
      write_key(key)
      write_field(key, v, false, depth + 1)
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
    write_current(t, 0)
  end
end
