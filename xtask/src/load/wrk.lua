-- A wrk script that sends raw requests from a file and prints the results as JSON. NUL characters separate the requests.
-- They are sent in order, over and over. With the argument "once" after the file's name, each request is sent once, and
-- the run ends with the last one.
--
-- Workloads with a single request also go through `request`, so that the script's overhead is the same for all.

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

local worker -- set by `setup`, read by `done`
local requests, index, once, start = {}, 0, false, nil
elapsed = nil -- microseconds until the last request, if each is sent once; global, because `done` reads it

function setup(thread)
  worker = thread
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
    if index == #requests and not elapsed then
      -- Responses to requests in flight are not counted.
      elapsed = microseconds() - start
      wrk.thread:stop()
    end
  end
  index = index % #requests + 1
  return requests[index]
end

function done(summary, latency)
  local errors = summary.errors
  -- Times are in microseconds.
  print(string.format(
    '\nRESULT {"requests":%d,"duration":%d,"p50":%d,"p99":%d,"error_responses":%d,"socket_errors":%d}',
    summary.requests, worker:get("elapsed") or summary.duration,
    latency:percentile(50), latency:percentile(99),
    errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
