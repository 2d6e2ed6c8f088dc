-- Drop health checks, mark requests that took long, and split a request with several errors into one record each.
function slow(tag, time, record)
  if record.path == "/health" then return -1, 0, 0 end
  record.slow = (record.took or 0) >= 1
  if record.errors == nil then return 2, 0, record end
  local parts = {}
  for i, message in ipairs(record.errors) do
    parts[i] = { path = record.path, slow = record.slow, error = message }
  end
  return 2, 0, parts
end
