-- Reads an inference request of gRPC as far as its tensors' shapes, by protobuf's wire format:
-- https://protobuf.dev/programming-guides/encoding/. ModelInferRequest.inputs is field 5, its shape field 3 of each.

local VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
local LENGTH_PREFIX = 5 -- of a message of gRPC: a flag of compression and four bytes

-- Returns a varint and where it ends. Those from 2^53 are not exact, and as large as any that matters here.
local function varint(message, from, last)
  local value, factor = 0, 1
  for at = from, math.min(last, from + 9) do
    local each = byte(message, at)
    value = value + (each % 128) * factor
    if each < 128 then return value, at + 1 end
    factor = factor * 128
  end
  refuse("the message must be a protobuf")
end

-- Calls `each` with the number, the type and the place of each field of a message.
local function read_fields(message, from, last, each)
  while from <= last do
    local tag, value
    tag, from = varint(message, from, last)
    -- Other readers drop what does not fit into 32 bits, and would see another field.
    if tag >= 4294967296 then refuse("the message must be a protobuf") end
    local number, kind = math.floor(tag / 8), tag % 8
    local ends = from
    if kind == VARINT then
      value, ends = varint(message, from, last)
    elseif kind == BYTES then
      value, from = varint(message, from, last)
      ends = from + value
    elseif kind == FIXED64 then
      ends = from + 8
    elseif kind == FIXED32 then
      ends = from + 4
    else
      refuse("the message must be a protobuf without groups")
    end
    if number == 0 or ends > last + 1 then refuse("the message must be a whole protobuf") end
    each(number, kind, from, ends - 1, value)
    from = ends
  end
end

-- Refuses a request with a tensor that no body could hold: its size overflows in the server.
local function check_message(message)
  read_fields(message, 1, #message, function(number, kind, from, last)
    if number ~= 5 or kind ~= BYTES then return end
    local shape = new_shape()
    read_fields(message, from, last, function(inner, how, first, ends, value)
      if inner ~= 3 then return end
      if how == VARINT then return add_dimension(shape, value) end
      if how ~= BYTES then refuse("the message must be a protobuf with shapes of integers") end
      while first <= ends do
        value, first = varint(message, first, ends)
        add_dimension(shape, value)
      end
    end)
  end)
end

-- Returns what follows a message's length: the message's bytes in `body` from 1 to `length`.
local function message_length(body)
  local compressed, a, b, c, d = byte(body, 1, LENGTH_PREFIX)
  return compressed, ((a * 256 + b) * 256 + c) * 256 + d
end

-- Passes a stream on message by message. Headers have gone by then, so that a bad one cannot be refused: the server
-- gets a request for a model in its place that says in its name what was wrong, and answers that there is none.
local function check_stream(handle)
  local parts, held, wanted = {}, 0, LENGTH_PREFIX
  for chunk in handle:bodyChunks() do
    local passed = {}
    parts[#parts + 1] = chunk:getBytes(0, chunk:length())
    held = held + chunk:length()
    while held >= wanted do
      local body = table.concat(parts)
      local compressed, length = message_length(body)
      wanted = LENGTH_PREFIX + length
      if held < wanted then
        parts = { body }
        break
      end
      local good, why = pcall(check_message, sub(body, LENGTH_PREFIX + 1, wanted))
      if compressed ~= 0 then good, why = false, { why = "messages must not be compressed" } end
      if good then
        passed[#passed + 1] = sub(body, 1, wanted)
      else
        local name = type(why) == "table" and why.why or "it cannot be read"
        passed[#passed + 1] = string.char(0, 0, 0, 0, #name + 2, 10, #name) .. name
      end
      parts, held, wanted = { sub(body, wanted + 1) }, held - wanted, LENGTH_PREFIX
    end
    chunk:setBytes(table.concat(passed))
  end
end

local function check_call(handle)
  local body = handle:body(true)
  local whole = body:getBytes(0, body:length())
  if #whole < LENGTH_PREFIX then return end
  local compressed, length = message_length(whole)
  if compressed ~= 0 then refuse("messages must not be compressed") end
  if #whole ~= LENGTH_PREFIX + length then refuse("the message must be as long as it says") end
  check_message(sub(whole, LENGTH_PREFIX + 1))
end
