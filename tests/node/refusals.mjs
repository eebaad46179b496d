// Sends four invalid form requests, sixty times each, and prints how many refusals arrived.
//
//     node refusals.mjs ORIGIN TOKEN

const [origin, token] = process.argv.slice(2);
const withToken = { Authorization: `Bearer ${token}` };
const unknownId = "01a20b47-0ace-7599-b4a7-bd71f3e71044";
const cases = [
  ["POST", "/auth/logout/", {}, 401],
  ["DELETE", `/auth/tokens/${unknownId}/`, withToken, 404],
  ["POST", "/auth/nothing/", withToken, 404],
  ["PUT", "/auth/me/", withToken, 405],
];

let answered = 0;
for (let round = 0; round < 60; round++) {
  for (const [method, path, headers, status] of cases) {
    const body = new FormData();
    body.append("x", "y".repeat(6000));
    try {
      const answer = await fetch(origin + path, { method, headers, body });
      const problem = await answer.json();
      if (answer.status === status && problem.status === status) answered += 1;
      else console.error(method, path, answer.status);
    } catch (error) {
      console.error(method, path, error.cause ?? error);
    }
  }
}
console.log(`${answered} of ${60 * cases.length}`);
