export default function () {
  const { token, user } = input();
  const answer = http.get(`${base}/users/me`, { headers: { Authorization: `Bearer ${token}` } });
  check(answer, {
    status: (r) => r.status === 200,
    "body: id": (r) => r.status !== 200 || r.json("id") === user,
    "body: city": (r) => r.status !== 200 || r.json("id") !== user || !!r.json("city"),
  });
}
