/** worker.js as text: the build writes inline-worker.js next to the compiled files. */
export declare const worker: string;
