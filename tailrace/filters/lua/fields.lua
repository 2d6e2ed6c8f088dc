--[[ Which fields a function can touch, found in its bytecode: two lists of names, those it reads (and may write) and those it
only writes, or nil when it can't be told.

Only these fields need to cross into Lua. There is an answer only if the function does nothing with its record but read and
write fields whose names are constants, and return it. Handing the record to another function, iterating over it, storing
it, comparing it, or making a closure that could hold it: nil.

Instructions are read through `jit.util` (lib_jit.c of LuaJIT 2.1) by the modes of their operands (lj_bc.h), so that nothing but MOV
and the returns need be told apart by number; those are found by compiling a function that has them.
]]

local util = require("jit.util")
local bit = require("bit")
local band, rshift = bit.band, bit.rshift

local DST, BASE, VAR, RBASE, STR, FUNC, JUMP = 1, 2, 3, 4, 10, 12, 13

local function decode(func, pc)
  local ins, mode = util.funcbc(func, pc)
  if ins == nil then return nil end
  local b_mode = band(rshift(mode, 3), 15)
  return {
    op = band(ins, 255),
    a = band(rshift(ins, 8), 255),
    b = b_mode ~= 0 and rshift(ins, 24) or nil,
    c = b_mode ~= 0 and band(rshift(ins, 16), 255) or rshift(ins, 16),
    a_mode = band(mode, 7),
    b_mode = b_mode,
    c_mode = band(rshift(mode, 7), 15),
  }
end

local function sample(a, b) return b, a end -- MOV, MOV, RET
local MOV, RET = decode(sample, 1).op, decode(sample, 3).op

-- Whether a copy of the record made at `pc` into slot `slot` goes nowhere but out of the function, as the record (the value at
-- `place` of those returned, from 0).
local function is_returned(func, pc, slot, place)
  while true do
    pc = pc + 1
    local ins = decode(func, pc)
    if ins == nil or ins.c_mode == JUMP then return false end
    if ins.op == RET then return slot == ins.a + place and place < ins.c - 1 end
    local reads = (ins.a_mode == VAR and ins.a == slot)
      or (ins.b_mode == VAR and ins.b == slot)
      or (ins.c_mode == VAR and ins.c == slot)
    if reads or ins.a_mode == BASE or ins.a_mode == RBASE or ins.b_mode == BASE or ins.b_mode == RBASE
      or ins.c_mode == BASE or ins.c_mode == RBASE then
      return false
    end
  end
end

return function(func, parameters)
  local slot = parameters == 5 and 4 or 2
  local place = parameters == 5 and 3 or 2
  local kinds, order = {}, {}
  local pc = 0
  while true do
    pc = pc + 1
    local ins = decode(func, pc)
    if ins == nil then break end
    local is_key = ins.b_mode == VAR and ins.b == slot
    if ins.c_mode == FUNC then return nil end
    if ins.a_mode == VAR and ins.a == slot then return nil end
    if is_key then
      if ins.c_mode ~= STR then return nil end
      local name = util.funck(func, -ins.c - 1)
      if kinds[name] == nil then order[#order + 1] = name end
      if ins.a_mode == DST then kinds[name] = "read" else kinds[name] = kinds[name] or "written" end
    elseif ins.c_mode == VAR and ins.c == slot then
      if ins.op ~= MOV or not is_returned(func, pc, ins.a, place) then return nil end
    elseif (ins.a_mode == BASE or ins.a_mode == RBASE) and ins.a <= slot and ins.op ~= RET and pc > 1 then
      return nil -- a range of slots that may take in the record
    end
  end
  local read, written = {}, {}
  for _, name in ipairs(order) do
    local list = kinds[name] == "read" and read or written
    list[#list + 1] = name
  end
  return read, written
end
