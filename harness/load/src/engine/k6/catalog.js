export default function () {
  const answer = http.get(`${base}/catalog`);
  check(answer, {
    status: (r) => r.status === 200,
    "body: id": (r) => r.status !== 200 || r.json("id") === "prod-1",
    "body: vendor.name": (r) =>
      r.status !== 200 || r.json("id") !== "prod-1" || !!r.json("vendor.name"),
  });
}
