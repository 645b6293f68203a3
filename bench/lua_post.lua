-- POST one file over and over. wrk … -s lua_post.lua URL -- FILE [HEADER-NAME HEADER-VALUE]…
function init(args)
  local file = assert(io.open(args[1], "rb"))
  wrk.method = "POST"
  wrk.body = file:read("*a")
  file:close()
  wrk.headers["content-type"] = "application/json"
  for n = 2, #args, 2 do wrk.headers[args[n]] = args[n + 1] end
end

function done(summary, latency, requests)
  local failed = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
  io.write(string.format('\nJSON {"requests": %d, "seconds": %f, "failures": %d, "p50": %f, "p99": %f, "max": %f}\n',
    summary.requests, summary.duration / 1e6, summary.errors.status + failed,
    latency:percentile(50), latency:percentile(99), latency.max))
end
