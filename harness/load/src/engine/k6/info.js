export default function () {
  const answer = http.get(`${base}/info`);
  check(answer, {
    status: (r) => r.status === 200,
    "header x-response-id": (r) => r.status !== 200 || !!r.headers["X-Response-Id"],
  });
}
