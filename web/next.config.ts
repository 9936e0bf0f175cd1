import type { NextConfig } from 'next';

/** Static files only: the Headwater binary serves `out/` and fills in what depends on the request. */
const config: NextConfig = {
  output: 'export',
  reactStrictMode: true,
  poweredByHeader: false,
  images: { unoptimized: true },
};

export default config;
