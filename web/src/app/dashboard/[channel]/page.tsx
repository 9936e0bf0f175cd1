import type { Metadata } from 'next';

import { ChannelPage } from '@/dashboard/ChannelPage';
import { strings } from '@/strings';
import { dashboard } from '@/strings/dashboard';

export const metadata: Metadata = {
  title: `${dashboard.channel.title}${strings.separator}${strings.product}`,
  description: dashboard.channel.description,
};

/** One page for all channels; the client reads the channel from the URL. */
export function generateStaticParams(): { channel: string }[] {
  return [{ channel: '_' }];
}

export const dynamicParams = false;

export default function Page() {
  return <ChannelPage />;
}
