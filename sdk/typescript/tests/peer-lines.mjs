/** Reporter of node's test runner: `ok`, `FAIL` and `skip`, as all peer tests say it. */

export default async function* lines(events) {
  for await (const { type, data } of events) {
    if (type === "test:stderr" || type === "test:stdout") yield data.message;
    if (type !== "test:pass" && type !== "test:fail") continue;
    const failed = data.details.error;
    const why = failed?.cause ?? failed;
    // A suite or a file says nothing by itself, unless it failed beside its tests.
    const group = data.details.type === "suite" || /\.test\.js$/.test(data.name);
    if (group && (type === "test:pass" || failed?.failureType === "subtestsFailed")) continue;
    const name = `typescript ${data.name}`;
    if (data.skip !== undefined) yield `skip ${name}: ${data.skip === true ? "" : data.skip}\n`;
    else if (type === "test:pass") yield `ok ${name}\n`;
    else yield `${why?.stack ?? ""}\nFAIL ${name}: ${String(why?.message ?? why).split("\n")[0]}\n`;
  }
}
