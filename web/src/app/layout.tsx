import type { Viewport } from 'next';
import type { ReactNode } from 'react';

import { Shell } from '@/shell/Shell';

import './globals.css';

export const viewport: Viewport = {
  width: 'device-width',
  initialScale: 1,
  colorScheme: 'light dark',
  themeColor: [
    { media: '(prefers-color-scheme: light)', color: '#f7f8f9' },
    { media: '(prefers-color-scheme: dark)', color: '#101418' },
  ],
};

/** No title here: the server fills in that of the watch page (`scripts/head-markers.mjs`). */
export default function RootLayout({ children }: { readonly children: ReactNode }) {
  return (
    <html lang="en">
      <body>
        <Shell>{children}</Shell>
      </body>
    </html>
  );
}
