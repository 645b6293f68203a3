-- Tracking calls. wrk … -s lua_track.lua URL -- create|batch|metrics RUNS-FILE EXPERIMENT
-- `batch` logs five parameters with new names and five metrics; `metrics` a thousand points.
local kind, runs, experiment, n = nil, {}, "0", 0

function init(args)
  kind, experiment = args[1], args[3]
  for id in io.lines(args[2]) do runs[#runs + 1] = id end
  wrk.method = "POST"
  wrk.headers["content-type"] = "application/json"
  if kind == "metrics" then
    local points = {}
    for step = 0, 999 do
      points[#points + 1] = string.format('{"key":"loss","value":%f,"timestamp":1700000000000,"step":%d}', 1 / (step + 1), step)
    end
    many = '"metrics":[' .. table.concat(points, ",") .. "]"
  end
end

function request()
  n = n + 1
  if kind == "create" then
    return wrk.format(nil, "/api/2.0/mlflow/runs/create", nil,
      string.format('{"experiment_id":"%s","start_time":1700000000000,"run_name":"bench","tags":[{"key":"who","value":"bench"}]}', experiment))
  end
  local run = runs[(n % #runs) + 1]
  if kind == "metrics" then
    return wrk.format(nil, "/api/2.0/mlflow/runs/log-batch", nil, '{"run_id":"' .. run .. '",' .. many .. "}")
  end
  local metrics, params = {}, {}
  for i = 1, 5 do
    metrics[i] = string.format('{"key":"m%d","value":%f,"timestamp":1700000000000,"step":%d}', i, n / 7, n)
    params[i] = string.format('{"key":"p%d_%d","value":"%d"}', i, n, n)
  end
  return wrk.format(nil, "/api/2.0/mlflow/runs/log-batch", nil, string.format('{"run_id":"%s","metrics":[%s],"params":[%s]}',
    run, table.concat(metrics, ","), table.concat(params, ",")))
end

function done(summary, latency)
  local failed = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
  io.write(string.format('\nJSON {"requests": %d, "seconds": %f, "failures": %d, "p50": %f, "p99": %f, "max": %f}\n',
    summary.requests, summary.duration / 1e6, summary.errors.status + failed,
    latency:percentile(50), latency:percentile(99), latency.max))
end
