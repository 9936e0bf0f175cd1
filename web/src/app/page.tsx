import type { Metadata } from 'next';

import { ChannelList } from '@/channels/ChannelList';
import { strings } from '@/strings';

export const metadata: Metadata = {
  title: strings.product,
  description: strings.landing.description,
};

export default function LandingPage() {
  return <ChannelList />;
}
