/** worker.js as text: the build puts inline-worker.js beside the compiled files. */
export declare const worker: string;
