-- Sends the requests above in turn, each thread beginning with another one, and says at the end
-- what came, as JSON.

if #requests == 1 then
    -- wrk asks once and sends the same again.
    wrk.format = function() return requests[1] end
else
    function request()
        at = at % #requests + 1
        return requests[at]
    end
end

local started = 0

function setup(thread)
    thread:set("index", started)
    started = started + 1
end

function init()
    at = index * FIRST_OF_THREAD % #requests
end

function done(summary, latency)
    local errors = summary.errors
    io.write("\n", string.format(
        '{"duration_us":%d,"requests":%d,"bytes":%d,' ..
        '"connect":%d,"read":%d,"write":%d,"status":%d,"timeout":%d,' ..
        '"mean_us":%f,"min_us":%d,"max_us":%d,"p50_us":%d,"p75_us":%d,"p90_us":%d,"p95_us":%d,' ..
        '"p99_us":%d,"p99_9_us":%d}',
        summary.duration, summary.requests, summary.bytes,
        errors.connect, errors.read, errors.write, errors.status, errors.timeout,
        latency.mean, latency.min, latency.max, latency:percentile(50), latency:percentile(75),
        latency:percentile(90), latency:percentile(95), latency:percentile(99),
        latency:percentile(99.9)
    ), "\n")
end
