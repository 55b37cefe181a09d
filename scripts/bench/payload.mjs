// The input of every task of every variant.

export const PAYLOAD = { one: 1, two: 2 };
export const PAYLOAD_TEXT = JSON.stringify(PAYLOAD);
