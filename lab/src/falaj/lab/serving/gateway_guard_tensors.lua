-- What a tensor may look like, in whatever protocol: its size must be one that no arithmetic of the server overflows.

local MOST_DIMENSIONS = 32
local MOST_ELEMENTS = 2147483647

local function new_shape()
  return { dimensions = 0, elements = 1, at_most = 1 }
end

local function add_dimension(shape, value)
  shape.dimensions = shape.dimensions + 1
  shape.elements = shape.elements * value
  -- An empty dimension makes no tensor small whose others are not: libraries multiply them one after the other.
  shape.at_most = shape.at_most * math.max(value, 1)
  if shape.dimensions > MOST_DIMENSIONS then refuse("shape must have at most " .. MOST_DIMENSIONS .. " dimensions") end
  if shape.at_most > MOST_ELEMENTS then refuse("shape must be of at most " .. MOST_ELEMENTS .. " elements, none negative") end
end
