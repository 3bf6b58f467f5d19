// Vite's types for the files that scripts import.
/// <reference types="vite/client" />
