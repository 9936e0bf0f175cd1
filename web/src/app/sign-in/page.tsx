import type { Metadata } from 'next';

import { SignInPage } from '@/accounts/SignInPage';
import { strings } from '@/strings';
import { accounts } from '@/strings/accounts';

export const metadata: Metadata = {
  title: `${accounts.signIn.title}${strings.separator}${strings.product}`,
  description: accounts.signIn.description,
};

export default function Page() {
  return <SignInPage />;
}
