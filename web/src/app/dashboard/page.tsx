import type { Metadata } from 'next';

import { DashboardPage } from '@/dashboard/DashboardPage';
import { strings } from '@/strings';
import { dashboard } from '@/strings/dashboard';

export const metadata: Metadata = {
  title: `${dashboard.title}${strings.separator}${strings.product}`,
  description: dashboard.description,
};

export default function Page() {
  return <DashboardPage />;
}
