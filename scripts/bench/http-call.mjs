// One HTTP request of a benchmark's client.

import { request } from 'node:http';

/**
 * node:http and not fetch, which costs the client several times as much as the answer costs the server.
 * @param agent whose connections it uses
 * @param body JSON text, or undefined
 * @returns the answer's JSON, as a value
 * @throws when the answer is no success
 */
export function call(agent, url, method, body) {
  return new Promise((done, fail) => {
    const headers = body
      ? { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }
      : {};
    const sent = request(url, { agent, method, headers }, (answer) => {
      const chunks = [];
      answer
        .on('data', (chunk) => chunks.push(chunk))
        .on('error', fail)
        .on('end', () => {
          const text = Buffer.concat(chunks).toString();
          if (answer.statusCode >= 300) fail(new Error(`${method} ${url}: ${answer.statusCode} ${text}`));
          else done(JSON.parse(text));
        });
    });
    sent.on('error', fail).end(body);
  });
}
