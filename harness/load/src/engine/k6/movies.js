export default function () {
  const { body, token } = input();
  const headers = { "Content-Type": "application/json", Authorization: `Bearer ${token}` };
  const answer = http.post(`${base}/movies`, body, { headers });
  check(answer, {
    status: (r) => r.status === 201,
    "body: id": (r) => r.status !== 201 || !!r.json("id"),
    "body: user.id": (r) => r.status !== 201 || !r.json("id") || !!r.json("user.id"),
  });
}
