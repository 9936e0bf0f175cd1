import type { Metadata } from 'next';

import { StudioPage } from '@/studio/ui/StudioPage';
import { strings } from '@/strings';

export const metadata: Metadata = {
  title: `${strings.studio.title}${strings.separator}${strings.product}`,
  description: strings.studio.description,
};

export default function Page() {
  return <StudioPage />;
}
