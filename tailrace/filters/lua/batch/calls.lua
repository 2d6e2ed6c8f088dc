-- Calling the function for each record, and what it returned.

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
    s, n = truncated(tonumber(rawget(given, "sec")) or 0), truncated(tonumber(rawget(given, "nsec")) or 0)
    if s == sec and n == nsec then return nil end
  else
    local d = tonumber(given)
    if d == nil and plain then d = 0 end
    if d == nil or (d == double and not plain) then return nil end
    s = truncated(d)
    n = truncated((d - s) * 1e9)
  end
  if not (s >= 0 and s < LAST_SECOND and n >= 0 and n < LAST_SECOND) then
    return fail("returned a time before 1970 or after 2106")
  end
  return s, n
end

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
    put32(begin(0xdd), meta_length)
    for i = 1, meta_length do
      local each = rawget(metadata, i)
      if type(each) == "table" and not list_length(each) then
        write_table(each, 0)
      else
        put32(begin(0xdf), 0) -- no map: this record has no metadata
      end
    end
  else
    put32(begin(0xdd), 1)
    write_table(metadata, 0)
  end
  if sec then write_time(sec, nsec) else write_nil() end
end

-- What the function made of the record at hand. `given` is the table it got, `new` the one it returned.
local function write_result(code, given, new, meta_given, metadata, time, old_sec, old_nsec, old_double)
  if type(new) ~= "table" then
    return fail("returned code " .. code .. " with a " .. type(new) .. " where the record should be")
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
  if meta_length and meta_length ~= length then
    return fail("returned metadata that is neither a map nor a list as long as that of the records")
  end
  if not rawequal(new, given) or length or plain then
    if length and not is_list_of_tables(new, length) then
      return fail("returned a list that holds something else than records")
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
  if type(message) ~= "string" then
    local ok, text = pcall(tostring, message)
    message = ok and type(text) == "string" and text or "an error of type " .. type(message)
  end
  write_text(message)
end

local globals, name, guard = _G, settings.call, settings.guard
local five, only

-- One batch: `input` holds the records and, from `meta_at` on, their metadata (or -1); `times` int64 nanoseconds.
-- `groups` is nil, or for each record as an int32 the place of its group in `input` (-1: it is in none); with `one_for_all` a group is
-- read once, not for each of its records.
local function run(input, total, times, tag, meta_at, groups, one_for_all)
  src = cast("const uint8_t *", input)
  local ns = cast("const int64_t *", times)
  local group_at = groups and cast("const int32_t *", groups)
  local last_at, last_group
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
    current = record
    local start = pos
    local seconds = ns[i] / 1000000000LL
    local sec, nsec = tonumber(seconds), tonumber(ns[i] - seconds * 1000000000LL)
    local double = sec + nsec / 1e9
    local stamp = double
    if is_table then stamp = { sec = sec, nsec = nsec } end
    if guard then guard(true) end
    local ok, code, time, new
    if five then
      if meta_at >= 0 then
        meta_given, meta_at = read(meta_at)
      else
        meta_given = setmetatable({}, MAP)
        shadows[meta_given], is_flat = { n = 0 }, false
      end
      local group = {}
      if group_at and group_at[i] >= 0 then
        if not one_for_all or group_at[i] ~= last_at then last_at, last_group = group_at[i], read(group_at[i]) end
        group = last_group
      end
      ok, code, time, metadata, new = pcall(only or globals[name], tag, stamp, group, meta_given, record)
    else
      ok, code, time, new = pcall(only or globals[name], tag, stamp, record)
    end
    if guard then guard(false) end
    if not ok then
      write_failure(start, code)
    else
      code = returned_code(code)
      if code == -1 then
        room(1)
        out[pos] = 0xc3
        pos = pos + 1
      elseif code == 1 or code == 2 then
        failure = nil
        write_result(code, record, new, meta_given, metadata, time, sec, nsec, double)
        if failure then write_failure(start, failure) end
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
