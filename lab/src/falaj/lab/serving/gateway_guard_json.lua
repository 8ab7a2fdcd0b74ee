-- Reads JSON without building it: what is well-formed, how deep it is nested, and what kinds of values it holds.
-- It takes what Triton's parser takes (RapidJSON, with NaN and Infinity), and nothing that this parser fails at.
-- A script of Envoy runs to its next wait without another one between, so that one place in one text is enough.

local DEEPEST = 64
local LONGEST_NUMBER = 300 -- digits before the point, and the largest exponent; beyond it is no double
local QUOTE, BACKSLASH, COMMA, COLON = 34, 92, 44, 58
local OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT = 91, 93, 123, 125
local WORDS = { ["true"] = "boolean", ["false"] = "boolean", null = "null" }
local byte, find, sub = string.byte, string.find, string.sub
local text, place

local function refuse(why)
  error({ why = why }, 0)
end

local function malformed()
  refuse("the body must be JSON: it is not at byte " .. place)
end

local function next_sign()
  local at = byte(text, place)
  while at == 32 or at == 10 or at == 13 or at == 9 do
    place = place + 1
    at = byte(text, place)
  end
  return at
end

local function take(sign)
  if next_sign() ~= sign then malformed() end
  place = place + 1
end

local function four_digits()
  local _, last = find(text, "^%x%x%x%x", place)
  if not last then malformed() end
  place = last + 1
  return tonumber(sub(text, last - 3, last), 16)
end

local function skip_escape()
  local kind = sub(text, place + 1, place + 1)
  place = place + 2
  if kind ~= "u" then
    if kind == "" or not find('"\\/bfnrt', kind, 1, true) then malformed() end
    return
  end
  local code = four_digits()
  if code >= 0xD800 and code <= 0xDBFF then
    if sub(text, place, place + 1) ~= "\\u" then malformed() end
    place = place + 2
    code = four_digits()
    if code < 0xDC00 or code > 0xDFFF then malformed() end
  elseif code >= 0xDC00 and code <= 0xDFFF then
    malformed()
  end
end

-- Returns where a string begins and ends, and whether it stands there as it is meant, without backslashes.
local function skip_string()
  local first, plain = place + 1, true
  place = first
  while true do
    local at = byte(text, place)
    if at == QUOTE then
      place = place + 1
      return first, place - 2, plain
    elseif at == BACKSLASH then
      plain = false
      skip_escape()
    elseif not at or at < 32 then
      malformed()
    else
      place = place + 1
    end
  end
end

local function skip_digits()
  local first = place
  local at = byte(text, place)
  while at and at >= 48 and at <= 57 do
    place = place + 1
    at = byte(text, place)
  end
  if place == first then malformed() end
  return place - first
end

local function skip_odd_number()
  for _, word in ipairs({ "Infinity", "Inf", "NaN" }) do
    if sub(text, place, place + #word - 1) == word then
      place = place + #word
      return "double"
    end
  end
  malformed()
end

-- Returns "unsigned", "signed" or "double"; integers that might not fit into 64 bits are doubles.
local function skip_number(at)
  local kind = "unsigned"
  if at == 45 then
    kind = "signed"
    place = place + 1
    at = byte(text, place)
  end
  if at == 73 or at == 78 then return skip_odd_number() end
  local digits, exponent = 1, 0
  if at == 48 then place = place + 1 else digits = skip_digits() end
  if digits > 18 then kind = "double" end
  if byte(text, place) == 46 then
    kind = "double"
    place = place + 1
    skip_digits()
  end
  at = byte(text, place)
  if at == 69 or at == 101 then
    kind = "double"
    local _, last = find(text, "^[+-]?", place + 1)
    local small = last > place and byte(text, last) == 45
    place = last + 1
    local first = place
    local length = skip_digits()
    if not small then exponent = length > 3 and LONGEST_NUMBER or tonumber(sub(text, first, place - 1)) end
  end
  if digits + exponent > LONGEST_NUMBER then refuse("numbers must be smaller than 1e" .. LONGEST_NUMBER) end
  return kind
end

local function skip_scalar(at)
  if at == QUOTE then
    skip_string()
    return "string"
  elseif at == 116 or at == 102 or at == 110 then
    local _, last = find(text, "^%l+", place)
    local kind = WORDS[sub(text, place, math.min(last, place + 5))]
    if not kind then malformed() end
    place = last + 1
    return kind
  elseif at == 45 or at == 73 or at == 78 or (at and at >= 48 and at <= 57) then
    return skip_number(at)
  end
  malformed()
end

-- Calls `each` with the name of each member, nil for one with backslashes, and the depth; it reads the value.
local function read_members(depth, each)
  if depth > DEEPEST then refuse("must be nested at most " .. DEEPEST .. " deep") end
  place = place + 1
  if next_sign() == CLOSE_OBJECT then
    place = place + 1
    return
  end
  while true do
    if next_sign() ~= QUOTE then malformed() end
    local first, last, plain = skip_string()
    take(COLON)
    each(plain and last - first < 64 and sub(text, first, last) or nil, depth + 1, plain)
    local at = next_sign()
    place = place + 1
    if at == CLOSE_OBJECT then return end
    if at ~= COMMA then malformed() end
  end
end

-- Calls `each` with the depth at each item of a list; it reads the item.
local function read_items(depth, each)
  if depth > DEEPEST then refuse("must be nested at most " .. DEEPEST .. " deep") end
  place = place + 1
  if next_sign() == CLOSE_LIST then
    place = place + 1
    return
  end
  while true do
    each(depth + 1)
    local at = next_sign()
    place = place + 1
    if at == CLOSE_LIST then return end
    if at ~= COMMA then malformed() end
  end
end

local skip_value
local function skip_member(_, depth)
  skip_value(depth)
end

-- Reads any value and returns its kind.
function skip_value(depth)
  local at = next_sign()
  if at == OPEN_OBJECT then
    read_members(depth, skip_member)
    return "object"
  elseif at == OPEN_LIST then
    read_items(depth, skip_value)
    return "list"
  end
  return skip_scalar(at)
end

-- Reads a whole text by `root` and demands that nothing follows.
local function read_json(body, root)
  text, place = body, 1
  root(1)
  if next_sign() then malformed() end
end
