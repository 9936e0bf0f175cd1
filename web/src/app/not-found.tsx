import type { Metadata } from 'next';

import { Message } from '@/shell/Message';
import { strings } from '@/strings';

export const metadata: Metadata = { title: `${strings.notFound.title}${strings.separator}${strings.product}` };

export default function NotFound() {
  return (
    <Message heading="h1" title={strings.notFound.title} hint={strings.notFound.hint}>
      {/* A plain link: every page is a document of its own, which the server picks. */}
      <a href="/">{strings.notFound.home}</a>
    </Message>
  );
}
