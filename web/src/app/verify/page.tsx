import type { Metadata } from 'next';

import { VerifyPage } from '@/accounts/LinkPages';
import { strings } from '@/strings';
import { accounts } from '@/strings/accounts';

export const metadata: Metadata = {
  title: `${accounts.verify.title}${strings.separator}${strings.product}`,
  description: accounts.verify.description,
};

export default function Page() {
  return <VerifyPage />;
}
