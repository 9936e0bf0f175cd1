import type { Metadata } from 'next';

import { ResetPage } from '@/accounts/LinkPages';
import { strings } from '@/strings';
import { accounts } from '@/strings/accounts';

export const metadata: Metadata = {
  title: `${accounts.reset.title}${strings.separator}${strings.product}`,
  description: accounts.reset.description,
};

export default function Page() {
  return <ResetPage />;
}
