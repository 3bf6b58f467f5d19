// What Vite knows of the files that scripts import.
/// <reference types="vite/client" />
