-- Builds what scripts see as their globals. It is run once for each interpreter, with Lua's own globals and the
-- functions that are written in Rust. What scripts see cannot be changed by them: each library is an empty table whose
-- metatable finds what the library has and refuses changes.

local native, modules = ...

local error, pcall, xpcall, type, tostring = error, pcall, xpcall, type, tostring
local next, pairs, ipairs, rawget, rawset, select = next, pairs, ipairs, rawget, rawset, select
local getmetatable, setmetatable, unpack = getmetatable, setmetatable, unpack
local coroutine, collectgarbage = coroutine, collectgarbage
local seen, is_abandoned = native.seen, native.is_abandoned

local READONLY = 'Attempt to modify a readonly table'

-- Protected tables, and what is behind each.
local behind = setmetatable({}, { __mode = 'k' })

local function refuse()
  error(READONLY, 2)
end

local function protect(real)
  local shown = {}
  behind[shown] = real
  return setmetatable(shown, { __index = real, __newindex = refuse, __metatable = false })
end

local function copied(from, names)
  local to = {}
  for name in names:gmatch('%S+') do
    to[name] = from[name]
  end
  return to
end

-- Errors. An error of a function in Rust is no value of Lua, so whatever catches errors shows scripts what it means.
-- Nothing catches the end of an abandoned script.

local function caught(ok, value, ...)
  if ok then
    return ok, value, ...
  end
  return ok, seen(value, true)
end

local function resumed(ok, value, ...)
  if ok then
    return ok, value, ...
  end
  return ok, seen(value, false)
end

local function handled(ok, ...)
  if not ok then
    is_abandoned()
  end
  return ok, ...
end

local globals = copied(_G, 'assert error gcinfo ipairs rawequal select tonumber tostring type _VERSION')

function globals.pcall(...)
  return caught(pcall(...))
end

function globals.xpcall(f, handler)
  return handled(xpcall(f, function(value)
    return handler(seen(value, false))
  end))
end

local thread = copied(coroutine, 'create running status wrap yield')

function thread.resume(...)
  return resumed(coroutine.resume(...))
end

-- Tables that must not be changed.

function globals.rawset(table, key, value)
  if behind[table] then
    error(READONLY, 0)
  end
  return rawset(table, key, value)
end

function globals.rawget(table, key)
  return rawget(behind[table] or table, key)
end

function globals.next(table, key)
  return next(behind[table] or table, key)
end

function globals.pairs(table)
  local real = behind[table]
  if real == nil then
    return pairs(table)
  end
  local copy = {}
  for key, value in pairs(real) do
    copy[key] = value
  end
  return next, copy, nil
end

local string_methods

function globals.getmetatable(value)
  if type(value) == 'string' then
    return string_methods
  end
  if behind[value] then
    return nil
  end
  return getmetatable(value)
end

function globals.setmetatable(table, metatable)
  if behind[table] then
    error(READONLY, 0)
  end
  return setmetatable(table, metatable)
end

-- Only what neither stops the collector nor changes how it works for others.
function globals.collectgarbage(option, argument)
  if option == nil or option == 'collect' or option == 'count' or option == 'step' then
    return collectgarbage(option, argument)
  end
  return 0
end

-- Lua counts the values in an int, which a range can exceed. A function in Rust refers to each of its arguments, and
-- there are 8 000 references for all.
function globals.unpack(list, first, last)
  local from, to = first or 1, last or #list
  if type(from) == 'number' and type(to) == 'number' and to - from >= 7000 then
    error('too many results to unpack', 2)
  end
  return unpack(list, first, last)
end

-- Compiles text only. The parser runs on the text as a whole, because the collector must not run meanwhile.
function globals.loadstring(text, name)
  return native.load(text, name)
end

function globals.load(reader, name)
  if type(reader) ~= 'function' then
    error("bad argument #1 to 'load' (function expected, got " .. type(reader) .. ')', 2)
  end
  local pieces, count = {}, 0
  while true do
    local piece = reader()
    if piece == nil or piece == '' then
      break
    end
    if type(piece) ~= 'string' then
      return nil, 'reader function must return a string'
    end
    count = count + 1
    pieces[count] = piece
  end
  return native.load(table.concat(pieces), name or '=(load)')
end

-- Libraries.

local text = copied(string, 'byte char find format gfind gmatch gsub len lower match rep reverse sub upper')
local arithmetic = {}
for name, value in pairs(math) do
  arithmetic[name] = value
end

function arithmetic.random(...)
  local drawn, count = native.draw(), select('#', ...)
  if count == 0 then
    return drawn
  end
  local first, last = ...
  if type(first) ~= 'number' or count > 1 and type(last) ~= 'number' then
    return math.random(...)
  end
  if count == 1 then
    first, last = 1, first
  elseif count > 2 then
    error('wrong number of arguments', 2)
  end
  first, last = native.whole(first), native.whole(last)
  if first > last then
    error(("bad argument #%d to 'random' (interval is empty)"):format(count), 2)
  end
  return math.floor(drawn * (last - first + 1)) + first
end

arithmetic.randomseed = native.seed

-- The functions of `table` that change a table would change one that is empty only because it is protected.
local lists = copied(table, 'concat foreach foreachi getn maxn')
local insert, remove, setn, sort = table.insert, table.remove, table.setn, table.sort

local function check(list)
  if behind[list] then
    error(READONLY, 0)
  end
end

function lists.insert(list, ...)
  check(list)
  return insert(list, ...)
end

function lists.remove(list, ...)
  check(list)
  return remove(list, ...)
end

function lists.setn(list, ...)
  check(list)
  return setn(list, ...)
end

function lists.sort(list, ...)
  check(list)
  return sort(list, ...)
end

globals.coroutine = protect(thread)
globals.math = protect(arithmetic)
globals.os = protect({ clock = native.clock })
globals.string = protect(text)
globals.table = protect(lists)
for name, library in pairs(modules) do
  globals[name] = protect(library)
end
globals.server = globals.redis

getmetatable('').__index = globals.string
string_methods = protect({ __index = globals.string })
getmetatable('').__metatable = false

-- `globals` itself is what the environment of scripts finds names in; KEYS and ARGV are put there for each run. What
-- functions of libraries find is the same without these two, and without what only scripts have in `redis`.

local unknown = {
  __index = function(_, name)
    error("Script attempted to access nonexistent global variable '" .. tostring(name) .. "'", 2)
  end,
}

local functions, redis = {}, {}
for name, value in pairs(globals) do
  functions[name] = value
end
for name, value in pairs(modules.redis) do
  redis[name] = value
end
redis.breakpoint, redis.debug, redis.replicate_commands = nil, nil, nil
functions.redis = protect(redis)
functions.server = functions.redis

setmetatable(globals, unknown)
local environment = protect(globals)
globals._G = environment

-- While a library is loaded, it finds only what registers functions.
local registers = copied(modules.redis, 'log LOG_DEBUG LOG_VERBOSE LOG_NOTICE LOG_WARNING REDIS_VERSION REDIS_VERSION_NUM')
registers.register_function = native.register
registers = protect(setmetatable(registers, unknown))
local loading = setmetatable({ redis = registers, server = registers }, unknown)

setmetatable(functions, unknown)
local of_library = { __index = functions, __newindex = refuse, __metatable = false }
local library = setmetatable({}, of_library)
behind[library] = functions
functions._G = library

local function set_loading(on)
  of_library.__index = on and loading or functions
end

-- What a reply is made of: the kind of a table, and what it has.
local function kind(table)
  local value = rawget(table, 'err')
  if type(value) == 'string' then
    return 1, value, rawget(table, 'ignore_error_stats_update') == true
  end
  value = rawget(table, 'ok')
  if type(value) == 'string' then
    return 2, value
  end
  value = rawget(table, 'double')
  if type(value) == 'number' then
    return 3, value
  end
  value = rawget(table, 'map')
  if type(value) == 'table' then
    return 4, value
  end
  value = rawget(table, 'set')
  if type(value) == 'table' then
    return 5, value
  end
  value = rawget(table, 'big_number')
  if type(value) == 'string' then
    return 6, value
  end
  value = rawget(table, 'verbatim_string')
  if type(value) == 'table' then
    return 7, value
  end
  return 0
end

-- Runs a script under a handler that sees where an error was raised.
local failed, given = native.failed, native.given
local function run(script)
  local keys, args = given()
  if keys then
    globals.KEYS, globals.ARGV = keys, args
  end
  return xpcall(script, failed)
end

-- Calls a function of a library in the same way.
local function call(f, keys, args)
  if not keys then
    keys, args = given()
  end
  return xpcall(function()
    return f(keys, args)
  end, failed)
end

return environment, globals, run, kind, library, set_loading, call
