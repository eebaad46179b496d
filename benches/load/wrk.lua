-- Sends the requests of a file and prints what came of them as JSON. The file holds requests as they
-- go over the wire, each ended by a NUL. They are sent in their order, and over again; or each once,
-- where "once" is said after the file's name, and the run ends with the last.
--
-- Every load goes through `request`, also where there is but one request: so that what the script
-- costs is the same for all that are compared.

local ffi = require("ffi")
ffi.cdef [[
  typedef struct { long seconds, nanoseconds; } instant;
  int clock_gettime(int clock, instant *now);
]]

local function microseconds()
  local now = ffi.new("instant")
  ffi.C.clock_gettime(1, now) -- the monotonic clock
  return tonumber(now.seconds) * 1e6 + tonumber(now.nanoseconds) / 1e3
end

local the_thread -- in the environment of `done`
local requests, at, once, start = {}, 0, false, nil
taken = nil -- until the last of the requests, where each is sent once; `done` asks for it

function setup(thread)
  the_thread = thread
end

function init(args)
  local file = assert(io.open(args[1], "rb"))
  for request in file:read("*a"):gmatch("[^%z]+") do
    requests[#requests + 1] = request
  end
  file:close()
  once = args[2] == "once"
end

function request()
  if once then
    start = start or microseconds()
    if at == #requests and not taken then
      -- Answers that are still under way are not counted.
      taken = microseconds() - start
      wrk.thread:stop()
    end
  end
  at = at % #requests + 1
  return requests[at]
end

function done(summary, latency)
  local errors = summary.errors
  -- Times are microseconds.
  print(string.format(
    '\nRESULT {"requests":%d,"duration":%d,"p50":%d,"p99":%d,"refused":%d,"broken":%d}',
    summary.requests, the_thread:get("taken") or summary.duration,
    latency:percentile(50), latency:percentile(99),
    errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
