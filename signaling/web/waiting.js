// Waiting for a time.

export const after = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));
