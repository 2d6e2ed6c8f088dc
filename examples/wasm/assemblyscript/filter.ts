// Drops records of level debug, and adds the language and the tag to all others.
// Build: `npm install assemblyscript`, then see the Makefile. With --exportRuntime the host gets its room from __new.

// What was returned last: it is read before the next call.
let result: ArrayBuffer = new ArrayBuffer(0);

export function filter(tag: usize, tagLen: i32, seconds: u32, nanoseconds: u32, record: usize, recordLen: i32): usize {
  const text = String.UTF8.decodeUnsafe(record, recordLen);
  if (text.includes('"level":"debug"')) return 0;
  const tagText = String.UTF8.decodeUnsafe(tag, tagLen);
  const comma = text.length > 2 ? "," : "";
  result = String.UTF8.encode(text.slice(0, -1) + comma + '"lang":"AssemblyScript","tag":"' + tagText + '"}', true);
  return changetype<usize>(result);
}
